"""Recording of every call of a layer, a loss and an optimizer during a training step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from backends import Array, Backend, Tree
from multinn.descriptions.instrumented import instrumented
from multinn.layers import Layer
from multinn.losses import Loss, LossOfEntries
from multinn.optimizers import Optimizer
from multinn.random import Key
from multinn.tracing.source_lines import SourceLines

Place = tuple[int, ...]


@dataclass(eq=False)
class Call:
    """One call of a part, with everything that went in and came out, as trees of the backend's arrays.

    Attributes:
        part: the layer, the loss or the optimizer.
        place: the position in the tree of calls: (2, 0) is the first call within the third.
        values: the arrays by name, such as x, y, cache, dy and dx.
        inner: the calls that this call made.
        lines: the source lines that ran, by pass: "forward" and "backward", or "update".
    """

    part: Any
    place: Place = ()
    values: dict[str, Tree] = field(default_factory=dict)
    inner: "list[Call]" = field(default_factory=list)
    lines: dict[str, SourceLines] = field(default_factory=dict)

    def begin(self, part: Any) -> "Call":
        """Return a new call that this call makes."""
        call = Call(part, (*self.place, len(self.inner)))
        self.inner.append(call)
        return call

    def walk(self) -> "Iterator[Call]":
        """Yield this call and all calls within it, each before the calls that it made."""
        yield self
        for call in self.inner:
            yield from call.walk()


class Recorder:
    """Copies of a model, a loss and an optimizer that record their calls.

    The copies run the code of the originals and return the same arrays.

    Attributes:
        model: the copy of the model.
        loss: the copy of the loss.
        optimizer: the copy of the optimizer.
        forward: the calls of layers, in the order in which they returned.
        backward: the same calls, in the order in which their backward passes returned.
        losses: the calls of the loss, and of losses within it, in the order of returning.
        updates: the calls of the optimizer, and of optimizers within it, in the order of returning.
    """

    def __init__(self, model: Layer, loss: Loss, optimizer: Optimizer, *, lines: bool = True) -> None:
        self.model = instrumented(model, "forward", self._layer_class)
        self.loss = instrumented(loss, "per_example", self._loss_class)
        self.optimizer = instrumented(optimizer, "update", self._optimizer_class)
        self._records_lines = lines
        self.clear()

    def clear(self) -> None:
        """Forget all calls."""
        self.forward: list[Call] = []
        self.backward: list[Call] = []
        self.losses: list[Call] = []
        self.updates: list[Call] = []
        self._root = Call(None)
        self._running: list[tuple[Any, Call]] = [(None, self._root)]

    @property
    def calls(self) -> list[Call]:
        """The calls of layers, each before the calls that it made."""
        return [call for call in self._root.walk() if isinstance(call.part, Layer)]

    def _is_running(self, part: Any) -> bool:
        return self._running[-1][0] is part

    @contextmanager
    def _run(self, part: Any, call: Call, name: str) -> Iterator[Call]:
        """Attribute inner calls and source lines to this call."""
        self._running.append((part, call))
        try:
            with SourceLines.recording(call.lines, name, type(part).__mro__[1], self._records_lines):
                yield call
        finally:
            self._running.pop()

    def _begin(self, part: Any) -> Call:
        return self._running[-1][1].begin(part)

    def _find(self, part: Any, params: Tree, cache: Tree) -> Call:
        """Return the forward call that belongs to a backward pass: the one with this cache.

        Layers can share a cache, such as their input, so the parameters and the class count, too.
        """
        found = [
            call
            for call in self._running[-1][1].inner
            if type(call.part) is type(part) and call.part == part and "dy" not in call.values
        ]
        if not found:
            raise ValueError(
                f"trace: {type(part).__name__} ran backward, but not forward, within the same layer; a "
                "trace can only show a backward pass of each forward pass"
            )
        found = [call for call in found if call.values["cache"] is cache] or found
        return ([call for call in found if call.values["params"] is params] or found)[-1]

    def _keep(self, part: Any, found: tuple[Array, Tree]) -> tuple[Array, Tree]:
        """Record the values and the gradient of examples, or of entries, if the loss is running."""
        if self._is_running(part):
            values, gradient = found
            self._running[-1][1].values.update(values=values, gradient=gradient)
        return found

    def _layer_class(self, kind: Any) -> type:
        recorder = self

        class Recording(kind):  # type: ignore[misc]  # mypy does not know the class
            def forward_with_state(
                self, backend: Backend, params: Tree, state: Tree, x: Array, key: Key | None = None
            ) -> tuple[Array, Tree]:
                if recorder._is_running(self):
                    found: tuple[Array, Tree] = super().forward_with_state(
                        backend, params, state, x, key
                    )
                    return found
                with recorder._run(self, recorder._begin(self), "forward") as call:
                    y, cache = super().forward_with_state(backend, params, state, x, key)
                call.values.update(params=params, state=state, x=x, y=y, cache=cache)
                recorder.forward.append(call)
                return y, cache

            def forward(
                self, backend: Backend, params: Tree, x: Array, key: Key | None = None
            ) -> tuple[Array, Tree]:
                if recorder._is_running(self):
                    found: tuple[Array, Tree] = super().forward(backend, params, x, key)
                    return found
                return self.forward_with_state(backend, params, None, x, key)

            def backward(
                self, backend: Backend, params: Tree, cache: Tree, dy: Array
            ) -> tuple[Array, Tree]:
                if recorder._is_running(self):
                    found: tuple[Array, Tree] = super().backward(backend, params, cache, dy)
                    return found
                with recorder._run(self, recorder._find(self, params, cache), "backward") as call:
                    dx, gradients = super().backward(backend, params, cache, dy)
                call.values.update(dy=dy, dx=dx, gradients=gradients)
                recorder.backward.append(call)
                return dx, gradients

            def parameter_gradients(
                self, backend: Backend, params: Tree, cache: Tree, dy: Array
            ) -> Tree:
                """Also compute dx, which the step does not need, but the trace shows."""
                if recorder._is_running(self):
                    return super().parameter_gradients(backend, params, cache, dy)
                return self.backward(backend, params, cache, dy)[1]

        return Recording

    def _loss_class(self, kind: Any) -> type:
        recorder = self

        class Recording(kind):  # type: ignore[misc]
            def report(
                self, backend: Backend, outputs: Tree, targets: Tree, weights: Tree = None
            ) -> tuple[dict[str, Array], Tree]:
                if recorder._is_running(self):
                    found: tuple[dict[str, Array], Tree] = super().report(
                        backend, outputs, targets, weights
                    )
                    return found
                with recorder._run(self, recorder._begin(self), "forward") as call:
                    values, dy = super().report(backend, outputs, targets, weights)
                given = {"outputs": outputs, "targets": targets, "weights": weights}
                call.values.update(**given, value=values["loss"], dy=dy)
                recorder.losses.append(call)
                return values, dy

            def __call__(
                self, backend: Backend, outputs: Tree, targets: Tree, weights: Tree = None
            ) -> tuple[Array, Tree]:
                if recorder._is_running(self):
                    found: tuple[Array, Tree] = super().__call__(backend, outputs, targets, weights)
                    return found
                values, dy = self.report(backend, outputs, targets, weights)
                return values["loss"], dy

            def per_example(self, backend: Backend, outputs: Tree, targets: Tree) -> tuple[Array, Tree]:
                return recorder._keep(self, super().per_example(backend, outputs, targets))

            if issubclass(kind, LossOfEntries):

                def per_entry(
                    self, backend: Backend, outputs: Array, targets: Array
                ) -> tuple[Array, Array]:
                    return recorder._keep(self, super().per_entry(backend, outputs, targets))

        return Recording

    def _optimizer_class(self, kind: Any) -> type:
        recorder = self

        class Recording(kind):  # type: ignore[misc]
            def update(
                self, backend: Backend, gradients: Tree, state: Tree, params: Tree
            ) -> tuple[Tree, Tree]:
                with recorder._run(self, recorder._begin(self), "update") as call:
                    after, state_after = super().update(backend, gradients, state, params)
                call.values.update(
                    gradients=gradients,
                    state=state,
                    params=params,
                    params_after=after,
                    state_after=state_after,
                )
                recorder.updates.append(call)
                return after, state_after

            def current_rate(self, backend: Backend, state: Tree, params: Tree) -> Array | float:
                rate: Array | float = super().current_rate(backend, state, params)
                recorder._running[-1][1].values["rate"] = rate
                return rate

        return Recording
