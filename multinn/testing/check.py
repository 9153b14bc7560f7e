"""`check_gradients`: the hand-derived gradients of a layer or a loss against every oracle there is."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from backends import Backend, HostArray, Shape, Tree, get_backend, installed_backends, tree
from multinn.descriptions import html
from multinn.descriptions.brief import brief
from multinn.descriptions.html import Cell, Shown
from multinn.descriptions.types import check_type
from multinn.host.checks import (
    as_host_array,
    check_dtype,
    check_flags,
    check_inputs,
    check_integers,
    check_parameters,
    check_targets,
)
from multinn.host.text import format_table, shorten
from multinn.host.trees import check_entries, count_of, entries_of, map_entries, shape_of
from multinn.layers import Layer
from multinn.layers.base import check_takes, mask_of, values_of
from multinn.losses import Loss
from multinn.testing.gradient_cases.base import (
    Case,
    LayerCase,
    LossCase,
    Point,
    draw_around,
    to_single_precision,
)
from multinn.testing.gradients import TOLERANCES, entry_errors, evaluate, faults, scale_of
from multinn.testing.oracles import STEP, derivative, slopes

_MOST = 500  # entries of an array that are compared with central differences and derivatives
_SMALLER_STEPS = (STEP / 2**4, STEP / 2**8)
_WIDTH = 80  # of the table
_MOST_OF_NAME = 60
_BY_HAND = "derived by hand"
_JUMP = 1e-6  # from the slope on the left to that on the right, relative to the largest gradient
_ROUNDING = 1e-12  # of a value, relative; much more than its last bits


class GradientTable(Shown):
    """A table of the errors of gradients: a string that consoles and notebooks show as the table itself.

    Attributes:
        errors: the largest relative error of each array, by its name and by the name of the oracle.
        html: the table for notebooks.
    """

    errors: dict[str, dict[str, float]]


def check_gradients(
    part: Layer | Loss,
    x: Any,
    targets: Any = None,
    weights: Any = None,
    *,
    params: Tree = None,
    state: Tree = None,
    training: bool = True,
    seed: int = 0,
    dtype: str = "float64",
    backends: Sequence[str | Backend] | None = None,
) -> GradientTable:
    """Compare the hand-derived gradients of a layer or a loss with those of independent oracles.

    The gradients of a layer are those of L = Σ dy y with a random dy. They are computed by NumPy without
    a compiler, and compared with

    - *central*: central differences of `forward`, or of the value of the loss;
    - *numpy*, *jax* and others: the same gradients on each backend;
    - *∂ jax* and others: the derivative of `forward` by a library that differentiates automatically.

    Errors are relative: the largest difference in an array, divided by the largest magnitude in it, or
    by 0.001 if that is larger. In float64, 1e-8 is allowed for central differences, 1e-9 for derivatives
    and 1e-10 for backends; in float32, 5e-6 for all. Differences need functions that vary on a scale of
    about 1: choose x, and an epsilon, accordingly. Of arrays with more than 500 entries, 500 random ones
    are compared with central differences and derivatives.

    At a kink, such as x = 0 in ReLU, there is no derivative. Entries for which the slopes to the left
    and to the right differ are not compared, and a line below the table counts them. Integers in x, such
    as ids for Embedding, have no gradient, as a line says; they are cast as in training.

    Args:
        part: a layer or a loss.
        x: (examples, ...), a `Masked`, or a tree of arrays; for a loss, the outputs.
        targets: the targets of a loss.
        weights: the weights of a loss, or None.
        params: the parameters of a layer, as `init` returns them; None to draw them.
        state: the state of a layer; None to draw it.
        training: whether the layer gets a key, as in training. The masks of dropout depend on the seed.
        seed: 0 or more, the seed of all that is drawn.
        dtype: "float64" or "float32", the dtype of the gradients; the oracles compute in float64.
        backends: the backends to compare with; None for all that are installed.

    Returns:
        A table with a row for each array and a column for each oracle.

    Raises:
        AssertionError: a gradient is wrong, or has another shape or dtype than its variable; the message
            names the worst entry.
        TypeError, ValueError: the arguments do not fit the layer or the loss; or a method of the layer
            does not return what it should, such as a pair.

    >>> from multinn import Dense
    >>> table = check_gradients(Dense(2), [[1.0, -2.0, 0.5]], backends=["numpy"])
    >>> sorted(table.errors)
    ['params.W', 'params.b', 'x']
    >>> table.errors["params.W"]["central"] < 1e-8
    True
    """
    check_type("check_gradients", "part", part, Layer | Loss)
    if not isinstance(backends, Sequence | None):
        raise TypeError(f"check_gradients: expected backends: a list of names, got {backends!r}")
    check_dtype(dtype)
    check_flags(training=training)
    check_integers(minimum=0, seed=seed)
    generator = np.random.default_rng(seed)
    if isinstance(part, Layer):
        if not (targets is None and weights is None):
            raise ValueError("check_gradients: a layer has no targets and no weights; a loss has them")
        case, point = _layer_at(part, x, params, state, generator, training)
    else:
        if not (params is None and state is None):
            raise ValueError("check_gradients: a loss has no params and no state; a layer has them")
        case, point = _loss_at(part, x, targets, weights)
    if not tree.leaves(point.variables):
        raise ValueError("check_gradients: expected floats in x, or parameters, got none")
    point = tree.map(to_single_precision, point) if dtype == "float32" else point
    names = installed_backends() if backends is None else backends
    comparison = _Comparison(case, point, dtype, *_arrays_and_entries(point, generator))
    integers = tree.leaves_with_paths({"x": point.constants.get("x")})
    comparison.notes += [f"{path}: integers, which have no gradient" for path, _ in integers]
    return comparison.table([get_backend(name) for name in names])


def _arrays_and_entries(
    point: Point, generator: np.random.Generator
) -> tuple[dict[str, tuple[Shape, slice]], HostArray]:
    """Return the fields ``arrays`` and ``entries`` of a `_Comparison`."""
    arrays, start = {}, 0
    for path, leaf in tree.leaves_with_paths(point.variables):
        arrays[path] = leaf.shape, slice(start, start + leaf.size)
        start += leaf.size
    return arrays, np.concatenate([_some_of(generator, place) for _, place in arrays.values()])


def _layer_at(
    layer: Layer, x: Any, params: Tree, state: Tree, generator: np.random.Generator, training: bool
) -> tuple[Case, Point]:
    mask, given = mask_of(x), entries_of(values_of(x), "x")
    inputs = tree.map(_as_float, check_inputs(given, "float64"))
    are_floats = map_entries(lambda leaf, name: np.asarray(leaf).dtype.kind == "f", given, "x")
    shapes = shape_of(inputs)
    check_takes(layer, shapes)
    drawn, constants = draw_around(generator, layer, count_of(inputs), shapes, training=training)
    layer.check_inputs(inputs)
    if params is not None:
        drawn = tree.map(_as_float, check_parameters(drawn, params))
    if state is not None:
        constants["state"] = tree.map(_as_float, check_parameters(constants["state"], state, "state"))
    constants["mask"] = None if mask is None else np.asarray(mask, bool)
    constants["x"] = tree.map(lambda leaf, is_float: None if is_float else leaf, inputs, are_floats)
    variables = tree.map(lambda leaf, is_float: leaf if is_float else None, inputs, are_floats)
    shape = tree.map(lambda leaf: leaf.shape, inputs)
    case = LayerCase(shorten(brief(layer), _MOST_OF_NAME), layer, shape, training=training)
    return case, Point({"params": drawn, "x": variables}, constants)


def _loss_at(loss: Loss, x: Any, targets: Any, weights: Any) -> tuple[Case, Point]:
    if targets is None:
        raise ValueError("check_gradients: a loss needs targets")
    outputs = map_entries(as_host_array, entries_of(values_of(x), "x"), "x")
    count = (*tree.leaves(outputs)[0].shape, 1)[0]
    outputs = tree.map(_as_float, check_targets(outputs, count, "x"))
    targets, shapes = check_targets(targets, count, "targets"), shape_of(outputs)
    check_entries(targets, shapes, "targets", "as the outputs")
    try:
        prepared = loss.prepare_targets(targets, shapes, "float64")
    except ValueError as error:
        is_of_entry = str(error).startswith("[")
        raise ValueError(f"targets{'' if is_of_entry else ': '}{error}") from error
    if weights is not None:
        weights = loss.prepare_weights(weights, count, shapes, "float64")
    constants = {"targets": prepared, "weights": weights, "mask": mask_of(x)}
    shape = tree.map(lambda leaf: leaf.shape, outputs)
    case = LossCase(shorten(brief(loss), _MOST_OF_NAME), loss, shape)
    return case, Point({"outputs": outputs}, constants)


def _as_float(leaf: HostArray) -> HostArray:
    return leaf.astype(np.float64)


class _Column(NamedTuple):
    """The gradients by one oracle.

    Attributes:
        name: the heading.
        tolerance: the largest error that passes.
        got: the gradients, flattened in the order of `tree.leaves`.
        expected: the oracle's gradients, flattened; where it says nothing, those of ``got``.
        got_by: how the gradients were computed, for messages.
        expected_by: how the oracle computed them.
    """

    name: str
    tolerance: float
    got: HostArray
    expected: HostArray
    got_by: str
    expected_by: str


@dataclass
class _Comparison:
    """The comparison at one point.

    Attributes:
        case: a layer or a loss as a function of one number.
        point: the arguments of the function.
        dtype: the dtype of the gradients.
        arrays: the shape of each variable, and its place in the flattened variables.
        entries: the indices of the entries that are compared with differences and derivatives.
        notes: lines below the table.
    """

    case: Case
    point: Point
    dtype: str
    arrays: dict[str, tuple[Shape, slice]]
    entries: HostArray
    notes: list[str] = field(default_factory=list)

    def table(self, backends: Sequence[Backend]) -> GradientTable:
        """Return the table; raise AssertionError if a gradient is wrong."""
        numpy = get_backend("numpy:eager")
        own = self._gradients(numpy)
        central = own.copy()
        central[self.entries] = slopes(self.case, numpy, self.point, self.entries).central
        independent = [
            _Column(
                "central", self._tolerance("central"), own, central, _BY_HAND, "central differences"
            ),
            *(column for backend in backends for column in self._derivative(backend, own)),
        ]
        self._leave_out_kinks(numpy, independent)
        columns = [independent[0]]
        for backend in backends:
            got, by = self._gradients(backend), f"{_BY_HAND}, on {backend.name}"
            tolerance = self._tolerance("backend")
            columns.append(_Column(backend.name, tolerance, got, own, by, f"{_BY_HAND}, on NumPy"))
        columns += independent[1:]
        table = self._as_table(columns)
        self._raise_worst(columns, table)
        return table

    def _tolerance(self, kind: str) -> float:
        return TOLERANCES[kind if self.dtype == "float64" else self.dtype]

    def _gradients(self, backend: Backend) -> HostArray:
        """Return the hand-derived gradients on a backend."""
        try:
            evaluation = evaluate(self.case, backend, self.point, self.dtype)
        except Exception as error:
            error.add_note(
                f"check_gradients: on the backend {backend.name}; backends=[...] selects others"
            )
            raise
        if wrong := faults(evaluation, self.point, self.dtype):
            raise AssertionError(f"{self.case.name}, on {backend.name}: {'; '.join(wrong)}")
        return _flat(evaluation.gradients)

    def _derivative(self, backend: Backend, own: HostArray) -> Iterator[_Column]:
        """Yield the derivative by the library of a backend, if it can differentiate the function."""
        name = f"∂ {backend.name}"
        try:
            derived = derivative(self.case, backend, self.point)
        except Exception as error:  # each library has its own
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self.notes.append(shorten(f"{name} is left out: {reason}", 78))
            return
        if tree.leaves(derived):
            expected = own.copy()
            expected[self.entries] = _flat(derived)[self.entries]
            by = f"derived by {backend.name} from the forward pass"
            yield _Column(name, self._tolerance("derivative"), own, expected, _BY_HAND, by)

    def _leave_out_kinks(self, backend: Backend, columns: Sequence[_Column]) -> None:
        """Measure again, by smaller steps, where an oracle disagrees, and leave out kinks.

        At a kink, the slopes to the left and to the right differ even at the smallest step. There is no
        derivative, and the derivation by hand and each library may choose different numbers.
        """
        central, own = columns[0].expected, columns[0].got
        scales, wrong = np.ones_like(own), np.zeros(len(own), bool)
        for _, place in self.arrays.values():
            scales[place] = scale_of(own[place], central[place])
            for column in columns:
                wrong[place] |= self._errors(column, place) > column.tolerance
        at = np.flatnonzero(wrong)
        if not at.size:
            return
        for step in _SMALLER_STEPS:
            finer = slopes(self.case, backend, self.point, at, step)
            closer = np.abs(finer.central - own[at]) < np.abs(central[at] - own[at])
            central[at[closer]] = finer.central[closer]
        rounding = _ROUNDING * float(np.abs(finer.value)) / step
        kinks = at[np.abs(finer.right - finer.left) > np.maximum(_JUMP * scales[at], rounding)]
        for column in columns:
            column.expected[kinks] = own[kinks]
        for path, (shape, place) in self.arrays.items():
            count = int(np.sum((kinks >= place.start) & (kinks < place.stop)))
            if count:
                self.notes.append(
                    f"{path}: {count} of {math.prod(shape)} entries are at kinks, and left out"
                )

    def _errors(self, column: _Column, place: slice) -> HostArray:
        return entry_errors(column.got[place], column.expected[place])

    def _raise_worst(self, columns: Sequence[_Column], table: GradientTable) -> None:
        """Raise AssertionError with the worst of all entries, if it is wrong."""
        worst = max(
            ((column, path) for column in columns for path in self.arrays),
            key=lambda pair: table.errors[pair[1]][pair[0].name] / pair[0].tolerance,
        )
        column, path = worst
        error = table.errors[path][column.name]
        if error <= column.tolerance:
            return
        shape, place = self.arrays[path]
        index = int(np.argmax(self._errors(column, place)))
        where = [int(i) for i in np.unravel_index(index, shape)]
        got, expected = (float(values[place][index]) for values in (column.got, column.expected))
        others = [
            other
            for other, errors in table.errors.items()
            if other != path and any(errors[each.name] > each.tolerance for each in columns)
        ]
        raise AssertionError(
            f"{self.case.name}: the gradient with respect to {path} is wrong: at {path}{where}, "
            f"expected {expected:.6g} ({column.expected_by}), got {got:.6g} ({column.got_by}); the "
            f"relative error of {path} is {error:.1e}, at most {column.tolerance:.0e} is allowed"
            f"{'; also wrong: ' + ', '.join(others) if others else ''}\n\n{table}"
        )

    def _as_table(self, columns: Sequence[_Column]) -> GradientTable:
        errors = {
            path: {column.name: float(self._errors(column, place).max()) for column in columns}
            for path, (_, place) in self.arrays.items()
        }
        header = ["gradient", *(column.name for column in columns), "result"]
        rows = []
        for path, (shape, _) in self.arrays.items():
            right = all(errors[path][column.name] <= column.tolerance for column in columns)
            cells = [_error_text(errors[path][column.name]) for column in columns]
            rows.append([f"{path} {shape}", *cells, "right" if right else "WRONG"])
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        room = _WIDTH - sum(2 + width for width in widths[1:])
        measure = f": relative errors of the gradients in {self.dtype}"
        title = shorten(self.case.name, _WIDTH - len(measure)) + measure
        lines = [[shorten(row[0], room), *row[1:]] for row in rows]
        text = "\n".join([title, "", format_table(header, lines), *self.notes])
        styled = [
            [Cell(name, is_code=True), *(Cell(each, is_number=True, is_short=True) for each in others)]
            for name, *others in rows
        ]
        table = GradientTable(text)
        table.errors = errors
        table.html = html.paragraph(title) + html.table(header, styled, self.notes)
        return table


def _some_of(generator: np.random.Generator, place: slice) -> HostArray:
    """Return the indices in a slice, or `_MOST` random ones of them."""
    entries = np.arange(place.start, place.stop)
    return entries if entries.size <= _MOST else np.sort(generator.choice(entries, _MOST, replace=False))


def _error_text(error: float) -> str:
    return f"{error:.0e}" if error else "0"


def _flat(gradients: Tree) -> HostArray:
    leaves = [leaf.reshape(-1) for leaf in tree.leaves(gradients)]
    return np.concatenate(leaves).astype(np.float64)
