"""From a schedule to a Python function: values get buffers, and the calls are written down."""

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

from backends import tree as trees
from backends.numpy_jit.memory import Memory
from backends.numpy_jit.recording import Call, HostArray, Loop, Value, record_function
from backends.numpy_jit.schedule import Schedule
from backends.tree import Tree

_REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: np.add.reduce,
    np.max: np.maximum.reduce,
    np.min: np.minimum.reduce,
}


def compile_function(function: Callable[..., Tree], example: tuple[Tree, ...]) -> Callable[..., Tree]:
    """Return a function that replays what ``function`` does on arguments of these shapes.

    Args:
        function: pure, on trees of arrays.
        example: arguments of the shapes and dtypes that the result is for.

    Raises:
        TypeError: ``function`` branches on the value of an array.
    """
    arguments, outputs = record_function(function, example)
    writer = Writer(trees.leaves(arguments), trees.leaves(outputs))
    replay = writer.function()
    order = {path: index for index, (path, _) in enumerate(trees.leaves_with_paths(outputs))}
    places = trees.map_with_paths(lambda path, _leaf: order[path], outputs)
    kinds = trees.map(lambda value: np.broadcast_to(np.empty((), value.dtype), value.shape), arguments)
    lock = Lock()  # the buffers serve one call at a time

    def run(*arguments: Tree) -> Tree:
        trees.map(_check_kind, arguments, kinds)
        with lock, np.errstate(all="ignore"):
            results = replay(*trees.leaves(arguments))
        return trees.map(lambda index: results[index], places)

    return run


class Writer:
    """Writes the Python function that replays a recording.

    A value is known while writing, as an array on a buffer; but for the arguments, the entries that
    loops run over, and views of these, which are variables of the function.

    Attributes:
        source: the text of the function.
    """

    def __init__(self, inputs: list[Value], outputs: list[Any]) -> None:
        self._schedule = Schedule(outputs)
        self._memory = Memory(self._schedule.last_read)
        self._names: dict[Value, str] = {}
        self._constants: dict[str, Any] = {}
        self._constant_names: dict[int, str] = {}
        self._lines: list[str] = []
        self._loops: list[Loop] = []
        parameters = [self._name_variable(value) for value in inputs]
        for time, (kind, item) in enumerate(self._schedule.events):
            write = getattr(self, f"_{kind}")
            write(item, time)
            self._memory.release(time)
        results = ", ".join(self._result(output) for output in outputs)
        self._write(f"return ({results},)")
        # Defaults make local variables of the constants, which are faster than global ones.
        parameters += [f"{name}={name}" for name in self._constants]
        body = "".join(f"\n    {line}" for line in self._lines)
        self.source = f"def replay({', '.join(parameters)}):{body}\n"

    def function(self) -> Callable[..., tuple[HostArray, ...]]:
        """Return the function: the leaves of the arguments in, the leaves of the results out."""
        names = dict(self._constants)
        exec(compile(self.source, "<recorded by multinn>", "exec"), names)
        replay: Callable[..., tuple[HostArray, ...]] = names["replay"]
        return replay

    def _call(self, call: Call, time: int) -> None:
        root = self._schedule.root(call.result)
        if root is not call.result:
            self._view(call, root)
            return
        self._place(call, time)
        out = self._expression(call.result)
        function, args = call.function, call.args
        if isinstance(function, np.ufunc):
            parts = [self._expression(_as_array(arg, args)) for arg in args]
            parts += [f"{name}={self._expression(value)}" for name, value in call.options.items()]
            self._write(f"{self._constant(function)}({', '.join(parts)}, out={out})")
        elif function in _REDUCTIONS and len(args) == 1 and call.options.keys() <= {"axis", "keepdims"}:
            reduce = self._constant(_REDUCTIONS[function])
            axis, keepdims = call.options.get("axis"), call.options.get("keepdims", False)
            self._write(f"{reduce}({self._expression(args[0])}, {axis!r}, None, {out}, {keepdims!r})")
        elif function is np.take and len(args) == 2 and call.options.keys() == {"axis"}:
            table, ids = (self._expression(arg) for arg in args)
            self._write(f"{table}.take({ids}, {call.options['axis']!r}, {out}, 'clip')")
        elif function is np.where and len(args) == 3:
            condition, yes, no = (self._expression(arg) for arg in args)
            self._copy(out, no)
            self._copy(out, yes, f"'same_kind', {condition}")
        elif function is np.astype:
            self._copy(out, self._expression(args[0]), "'unsafe'")
        else:
            self._copy(out, self._plain_call(call))

    def _view(self, call: Call, root: Value) -> None:
        """Make a view: now if it is on a buffer, else at each run."""
        if root in self._memory.arrays:
            args, options = self._known((call.args, call.options))
            self._memory.arrays[call.result] = call.function(*args, **options)
        else:
            self._write(f"{self._name_variable(call.result)} = {self._plain_call(call)}")

    def _place(self, call: Call, time: int) -> None:
        """Give the result a buffer: that of the carry it becomes, of an input, or another."""
        value, until = call.result, self._schedule.last_read.get(call.result, time)
        memory = self._memory
        if isinstance(call.function, np.ufunc) and call.function.signature is None:
            for loop in self._loops[-1:]:
                for before, after in zip(loop.carry_in, loop.carry_out, strict=True):
                    if after is value and memory.can_take_over(value, before, time):
                        memory.take_over(value, before, until)
                        return
            for used in call.inputs:
                if memory.can_take_over(value, used, time) and not memory.is_kept(used, time):
                    memory.take_over(value, used, until)
                    return
        memory.allocate(value, until)

    def _begin(self, loop: Loop, time: int) -> None:
        """Open a loop, with the carry in the buffers of the first carry where nothing else needs it."""
        memory, last_read, end = self._memory, self._schedule.last_read, self._schedule.ends[loop]
        for first, carry, last in zip(loop.init, loop.carry_in, loop.results, strict=True):
            until = max(end, last_read.get(last, end))
            if memory.can_take_over(carry, first, time):
                memory.take_over(carry, first, until)
            else:
                memory.allocate(carry, until)
                self._copy(self._expression(carry), self._expression(first))
        for y in loop.ys:
            memory.allocate(y, max(end, last_read.get(y, end)))
        variables, iterables = [_index(loop)], [f"range({loop.length})"]
        for entry, xs in zip(loop.x_in, loop.xs, strict=True):
            if entry in last_read:
                iterables.append(self._expression(xs))
                variables.append(self._name_variable(entry))
        self._write(f"for {', '.join(variables)}, in zip({', '.join(iterables)}):")
        self._loops.append(loop)

    def _end(self, loop: Loop, time: int) -> None:
        for y, value in zip(loop.ys, loop.y_out, strict=True):
            self._write(f"{self._expression(y)}[{_index(loop)}] = {self._expression(value)}")
        self._pass_on_carry(loop)
        self._write("pass")
        self._loops.pop()
        for carry, last in zip(loop.carry_in, loop.results, strict=True):
            self._memory.take_over(last, carry, time)

    def _pass_on_carry(self, loop: Loop) -> None:
        """Copy the next carry to where the body reads it, unless it is there already."""
        memory = self._memory
        moves = [
            (self._expression(before), after)
            for before, after in zip(loop.carry_in, loop.carry_out, strict=True)
            if not memory.same_place(after, before)
        ]
        roots = [self._schedule.root(after) for _, after in moves if isinstance(after, Value)]
        overlapping = any(memory.same_place(root, carry) for root in roots for carry in loop.carry_in)
        if overlapping:  # such as a carry that swaps two arrays: read all before writing any
            for index, (_, after) in enumerate(moves):
                self._write(f"moved_{index} = {self._expression(after)}.copy()")
            moves = [(target, f"moved_{index}") for index, (target, _) in enumerate(moves)]
        for target, after in moves:
            self._copy(target, after if overlapping else self._expression(after))

    def _result(self, output: Any) -> str:
        """Return the expression of a result, which must not change at the next run."""
        expression = self._expression(output)
        known = isinstance(output, Value) and output in self._memory.arrays
        return f"{expression}.copy()" if known else expression

    def _write(self, line: str) -> None:
        self._lines.append("    " * len(self._loops) + line)

    def _copy(self, target: str, source: str, how: str = "") -> None:
        arguments = [target, source, how] if how else [target, source]
        self._write(f"{self._constant(np.copyto)}({', '.join(arguments)})")

    def _plain_call(self, call: Call) -> str:
        parts = [self._expression(arg) for arg in call.args]
        parts += [f"{name}={self._expression(value)}" for name, value in call.options.items()]
        return f"{self._constant(call.function)}({', '.join(parts)})"

    def _expression(self, argument: Any) -> str:
        """Return the text that stands for an argument of a call."""
        if isinstance(argument, Value):
            known = self._memory.arrays.get(argument)
            return self._names[argument] if known is None else self._constant(known)
        if isinstance(argument, tuple | list) and trees.leaves(argument):
            return "(" + "".join(f"{self._expression(part)}, " for part in argument) + ")"
        return self._constant(argument)

    def _constant(self, value: Any) -> str:
        """Return the name under which the function finds an object."""
        key = id(value)
        if key not in self._constant_names:
            described = getattr(value, "__name__", "array" if isinstance(value, np.ndarray) else "")
            name = f"{described if described.isidentifier() else 'value'}_{len(self._constants)}"
            self._constant_names[key] = name
            self._constants[name] = value  # which keeps it alive, and so its id its own
        return self._constant_names[key]

    def _name_variable(self, value: Value) -> str:
        self._names[value] = f"variable_{len(self._names)}"
        return self._names[value]

    def _known(self, tree: Any) -> Any:
        """Return nested arguments of a call with each value replaced by its array."""
        return trees.map(
            lambda leaf: self._memory.arrays[leaf] if isinstance(leaf, Value) else leaf, tree
        )


def _index(loop: Loop) -> str:
    return f"round_{loop.scope.depth}"


def _as_array(argument: Any, arguments: tuple[Any, ...]) -> Any:
    """Return a Python number as the array that a ufunc would make of it at each call."""
    if not isinstance(argument, bool | int | float):
        return argument
    dtypes = [other.dtype for other in arguments if hasattr(other, "dtype")]
    return np.asarray(argument, np.result_type(*dtypes, argument))


def _check_kind(leaf: Any, expected: HostArray) -> None:
    if (np.shape(leaf), leaf.dtype) != (expected.shape, expected.dtype):
        raise TypeError(
            f"this function is compiled for an array of {expected.dtype} {expected.shape}, "
            f"got {leaf.dtype} {np.shape(leaf)}"
        )
