"""From a schedule to a Python function: values get buffers, and calls become source."""

from typing import Any

import numpy as np

from backends import tree as trees
from backends.base import HostArray
from backends.numpy_jit.blocks import LARGE, Chain
from backends.numpy_jit.calls import is_elementwise, write_call
from backends.numpy_jit.flattening import offsets_in, pack, unpack
from backends.numpy_jit.memory import Memory
from backends.numpy_jit.recording import Call, Loop, Value
from backends.numpy_jit.schedule import Schedule
from backends.numpy_jit.scopes import Scope
from backends.numpy_jit.source import Source


class Writer:
    """Writes the Python function that replays a recording.

    Most values are arrays in buffers, known while writing. The arguments, the entries that loops run
    over, and views of these are variables of the function.

    Attributes:
        source: the function, from the leaves of the arguments to those of the results.
    """

    def __init__(
        self, inputs: list[Value], outputs: list[Any], *, blas_has_threads: bool = True
    ) -> None:
        self._schedule = Schedule(outputs)
        self._memory = Memory(self._schedule.last_read, self._schedule.base)
        self.source = Source(self._memory.arrays)
        self._chain = Chain(self.source, self._memory.arrays, blas_has_threads=blas_has_threads)
        self._loops: list[Loop] = []
        self._entry_of: dict[Value, Any] = {}
        self._packed_at = _places_in_vectors(self._schedule)
        self._computed_at = _times_of_elementwise_results(self._schedule)
        for value in inputs:
            self.source.parameter(value)
        for time, (kind, item) in enumerate(self._schedule.events):
            if kind != "call":
                self._chain.write()
            write = getattr(self, f"_{kind}")
            write(item, time)
            self._memory.release(time)
        self._chain.write()
        results = "".join(f"{self._result(output)}, " for output in outputs)
        self.source.line(f"return ({results})")

    @property
    def nbytes(self) -> int:
        """The size of all buffers in bytes."""
        return self._memory.nbytes

    def _call(self, call: Call, time: int) -> None:
        root = self._schedule.root(call.result)
        if call.function is pack:
            self._chain.write()
            self._pack(call)
        elif call.result in self._entry_of:
            self._chain.write()
            write_call(self.source, call, self._whole_array)
        elif root is call.result:
            self._allocate(call, time)
            if not self._chain.add(call):
                write_call(self.source, call, self._whole_array)
        elif set(call.inputs) <= self._memory.arrays.keys() and len(set(call.inputs)) == 1:
            args, options = self._known((call.args, call.options))
            self._memory.arrays[call.result] = call.function(*args, **options)
        else:  # a view of an argument, or at a computed place
            self._chain.write()
            expression = self.source.call(call.function, call.args, call.options)
            self.source.line(f"{self.source.variable(call.result)} = {expression}")

    def _allocate(self, call: Call, time: int) -> None:
        """Give the result its part of a vector, or the buffer of its carry, of an input, or another."""
        value, memory = call.result, self._memory
        until = self._schedule.last_read.get(value, time)
        if value in self._packed_at:
            vector, start = self._packed_at[value]
            memory.arrays[value] = unpack(self._vector(vector), start, value.shape)
            return
        # In place, single numbers confuse NumPy's shortcuts, and `sign` takes 25 times as long.
        if is_elementwise(call) and value.size != 1 and call.function is not np.sign:
            for loop in self._loops[-1:]:
                for before, after in zip(loop.carry_in, loop.carry_out, strict=True):
                    if after is value and self._can_work_in_place(call, before, time):
                        memory.take_over(value, before, until)
                        return
            for used in call.inputs:
                if self._can_work_in_place(call, used, time) and not self._is_kept(used, time, until):
                    memory.take_over(value, used, until)
                    return
        memory.allocate(value, until)

    def _pack(self, call: Call) -> None:
        """Copy parts into a vector that were not computed there."""
        vector = self._vector(call.result)
        for part, start in offsets_in(call):
            home, place = self._packed_at.get(part, (None, 0)) if isinstance(part, Value) else (None, 0)
            if home is not call.result or place != start:
                target = self.source.constant(unpack(vector, start, part.shape))
                self.source.line(f"{target}[...] = {self.source.expression(part)}")

    def _vector(self, vector: Value) -> HostArray:
        """Return the array of a vector, which gets its buffer when its first part is computed."""
        if vector not in self._memory.arrays:
            self._memory.allocate(vector, self._schedule.last_read[vector])
        return self._memory.arrays[vector]

    def _can_work_in_place(self, call: Call, previous: Value, time: int) -> bool:
        """Return whether an elementwise call may overwrite a value, and reads no other view of it."""
        memory = self._memory
        if not memory.can_take_over(call.result, previous, time):
            return False
        array, buffer = memory.arrays[previous], memory.shown_buffer(previous)
        return all(
            memory.shown_buffer(value) is not buffer or memory.arrays.get(value) is array
            for value in call.inputs
        )

    def _is_kept(self, used: Value, time: int, until: int) -> bool:
        """Return whether the value's buffer is needed, except by a next carry computed later."""
        buffer = self._memory.shown_buffer(used)
        for loop in self._loops[-1:]:
            for before, after in zip(loop.carry_in, loop.carry_out, strict=True):
                computed_at = self._computed_at.get(after, -1) if isinstance(after, Value) else -1
                if self._memory.buffer(before) is buffer and until <= computed_at:
                    return False
        return self._memory.is_kept(used, time)

    def _begin(self, loop: Loop, time: int) -> None:
        """Open a loop; its carry takes over the buffers of the first carry that nothing else needs."""
        memory, last_read, end = self._memory, self._schedule.last_read, self._schedule.ends[loop]
        taken = set()
        for first, carry, last in zip(loop.init, loop.carry_in, loop.results, strict=True):
            until = max(end, last_read.get(last, end))
            if memory.can_take_over(carry, first, time) and memory.shown_buffer(first) not in taken:
                memory.take_over(carry, first, until)
            else:
                memory.allocate(carry, until)
                self._copy(carry, first)
            taken.add(memory.buffer(carry))
        for y in loop.ys:
            memory.allocate(y, max(end, last_read.get(y, end)))
        self._open(loop)

    def _open(self, loop: Loop) -> None:
        """Write the head of a loop, with variables for the entries that it runs over."""
        source, counter = self.source, _index(loop)
        entries = [
            (entry, xs)
            for entry, xs in zip(loop.x_in, loop.xs, strict=True)
            if entry in self._schedule.last_read
        ]
        entries += self._computed_in_place(loop)
        self._entry_of |= entries
        length = loop.length if loop.count is None else f"int({source.expression(loop.count)})"
        variables, iterables = [counter], [f"range({length})"]
        for entry, xs in entries:
            if entry.ndim:
                iterables.append(source.expression(xs))
                variables.append(source.variable(entry))
        iterable = f"zip({', '.join(iterables)})" if len(iterables) > 1 else iterables[0]
        source.open_block(f"for {', '.join(variables)} in {iterable}:")
        self._loops.append(loop)
        for entry, xs in entries:
            if not entry.ndim:  # iteration would return a scalar
                array = source.expression(xs)
                source.line(f"{source.variable(entry)} = {array}[{counter}, ...]")

    def _computed_in_place(self, loop: Loop) -> list[tuple[Value, Value]]:
        """Return small results of the body that are computed in their entry of a stacked array."""
        entries: dict[Value, Value] = {}
        for y, value in zip(loop.ys, loop.y_out, strict=True):
            if (
                _is_new(value, loop.scope)
                and value not in self._packed_at
                and value.ndim > 0
                and value.example.nbytes < LARGE  # larger ones are computed by blocks of rows
                and value.example.strides == y.example.strides[1:]
            ):
                entries.setdefault(value, y)
        return list(entries.items())

    def _end(self, loop: Loop, time: int) -> None:
        for y, value in zip(loop.ys, loop.y_out, strict=True):
            if not isinstance(value, Value) or self._entry_of.get(value) is not y:
                array, entry = self.source.expression(y), self.source.expression(value)
                self.source.line(f"{array}[{_index(loop)}] = {entry}")
        self._pass_on_carry(loop)
        self.source.close_block()
        self._loops.pop()
        for carry, last in zip(loop.carry_in, loop.results, strict=True):
            self._memory.take_over(last, carry, max(time, self._schedule.last_read.get(last, time)))

    def _pass_on_carry(self, loop: Loop) -> None:
        """Copy the next carry to the buffers that the body reads, unless it is there already."""
        memory, source = self._memory, self.source
        moves = [
            (before, after)
            for before, after in zip(loop.carry_in, loop.carry_out, strict=True)
            if memory.buffer(after) is not memory.buffer(before)
        ]
        places = {memory.buffer(carry) for carry in loop.carry_in}
        roots = [self._schedule.root(after) for _, after in moves if isinstance(after, Value)]
        if any(memory.buffer(root) in places for root in roots):
            # For example, a carry that swaps two arrays: read all before writing any.
            for index, (_, after) in enumerate(moves):
                source.line(f"moved{index} = {source.expression(after)}.copy()")
            for index, (before, _) in enumerate(moves):
                source.line(f"{source.expression(before)}[...] = moved{index}")
        else:
            for before, after in moves:
                self._copy(before, after)

    def _copy(self, target: Value, array: Any) -> None:
        self.source.line(f"{self.source.expression(target)}[...] = {self.source.expression(array)}")

    def _result(self, output: Any) -> str:
        """Return the expression of a result in memory of its own."""
        expression = self.source.expression(output)
        example = output.example if isinstance(output, Value) else output
        if isinstance(example, np.ndarray):
            return f"{expression}.copy('K')"
        return f"{expression}[()]" if output in self._memory.arrays else expression

    def _whole_array(self, value: Any) -> Any:
        """Return the array over whose entries the loops around run, given the value of one entry."""
        while isinstance(value, Value):
            if value in self._entry_of:
                value = self._entry_of[value]
                continue
            viewed = value.maker.viewed if isinstance(value.maker, Call) else None
            if viewed is None or viewed.size != value.size:
                break
            value = viewed  # the same entries in another shape
        return value

    def _known(self, tree: Any) -> Any:
        """Return nested arguments of a call with each value replaced by its array."""
        return trees.map(
            lambda leaf: self._memory.arrays[leaf] if isinstance(leaf, Value) else leaf, tree
        )


def _times_of_elementwise_results(schedule: Schedule) -> dict[Any, int]:
    calls = ((time, item) for time, (kind, item) in enumerate(schedule.events) if kind == "call")
    return {call.result: time for time, call in calls if is_elementwise(call)}


def _places_in_vectors(schedule: Schedule) -> dict[Value, tuple[Value, int]]:
    """Return vector and offset for each result that nothing reads once it is packed."""
    places: dict[Value, tuple[Value, int]] = {}
    for time, (_, call) in enumerate(schedule.events):
        if isinstance(call, Call) and call.function is pack:
            for part, start in offsets_in(call):
                if part not in places and _is_new(part, call.result.scope):
                    in_order = part.example.flags.c_contiguous  # the order in which other calls read it
                    if in_order and schedule.last_read[part] == time:
                        places[part] = (call.result, start)
    return places


def _is_new(value: Any, scope: Scope) -> bool:
    """Return whether a call of that scope computes the value into memory of its own."""
    call = value.maker if isinstance(value, Value) and value.scope is scope else None
    return isinstance(call, Call) and call.viewed is None and call.function is not pack


def _index(loop: Loop) -> str:
    return f"round{loop.scope.depth}"
