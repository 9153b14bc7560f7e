"""The order of the calls that the results need, and how long each value is needed."""

from collections.abc import Iterator
from typing import Any

from backends.numpy_jit.padding import simplify
from backends.numpy_jit.recording import Call, Loop, Value

Item = Call | Loop


class Schedule:
    """The order of calls and loops.

    A time is a position in ``events``. The items of a loop's body are between its beginning and its end.

    Attributes:
        events: ("call", Call), ("begin", Loop) and ("end", Loop), in order.
        base: for each view, the value whose memory it shows.
        last_read: for each value, the time of the last read of it or of a view of it. A value from
            outside that a loop's body reads is needed until the loop ends.
        ends: for each loop, the time at which it ends.
    """

    def __init__(self, outputs: list[Any]) -> None:
        self.events: list[tuple[str, Any]] = []
        self.base: dict[Value, Value] = {}
        self.last_read: dict[Value, int] = {}
        self.ends: dict[Loop, int] = {}
        self._bodies: dict[Loop, list[Item]] = {}
        items, _ = self._needed(outputs, depth=0)
        self._flatten(items)
        self._follow_reads(outputs)

    def root(self, value: Value) -> Value:
        """Return the value whose memory this one is or shows."""
        return self.base.get(value, value)

    def _needed(self, wanted: list[Any], depth: int) -> tuple[list[Item], list[Value]]:
        """Return the items of a scope that compute the wanted values, and the outer values they need.

        All items that the first wanted value needs come first, and so on. So an optimizer's arithmetic
        on one array stays together.
        """
        items: dict[Item, None] = {}
        outside: list[Value] = []
        stack = [(value, False) for value in reversed(wanted)]
        while stack:
            value, needs_are_met = stack.pop()
            if not isinstance(value, Value):
                continue
            if value.scope.depth < depth:
                outside.append(value)
            elif value.maker is None or value.maker in items:
                continue
            elif needs_are_met:
                items[value.maker] = None
            else:
                stack.append((value, True))
                stack.extend((need, False) for need in reversed(self._needs(value.maker)))
        return list(items), outside

    def _needs(self, item: Item) -> list[Any]:
        if isinstance(item, Call):
            simplify(item)
            return item.inputs
        body, outside = self._needed([*item.y_out, *item.carry_out], item.scope.depth)
        self._bodies[item] = body
        return [*item.init, *item.xs, *outside, item.count]

    def _flatten(self, items: list[Item]) -> None:
        for item in items:
            if isinstance(item, Loop):
                self.events.append(("begin", item))
                self._flatten(self._bodies[item])
                self.ends[item] = len(self.events)
                self.events.append(("end", item))
            else:
                if item.viewed is not None:
                    self.base[item.result] = self.root(item.viewed)
                self.events.append(("call", item))

    def _follow_reads(self, outputs: list[Any]) -> None:
        loops: list[Loop] = []
        for time, (kind, item) in enumerate(self.events):
            if kind == "begin":
                self._read([*item.init, item.count], time, loops)
                self._read(item.xs, self.ends[item], loops)
                loops.append(item)
            elif kind == "end":
                self._read([*item.carry_out, *item.y_out], time, loops)
                loops.pop()
            else:
                self._read(item.inputs, time, loops)
        self._read(outputs, len(self.events), [])

    def _read(self, values: list[Any], time: int, loops: list[Loop]) -> None:
        for value in values:
            for one in _with_root(self, value):
                outside_of = [loop for loop in loops if one.scope.depth < loop.scope.depth]
                until = self.ends[outside_of[0]] if outside_of else time
                self.last_read[one] = max(self.last_read.get(one, until), until)


def _with_root(schedule: Schedule, value: Any) -> Iterator[Value]:
    if isinstance(value, Value):
        yield value
        if schedule.root(value) is not value:
            yield schedule.root(value)
