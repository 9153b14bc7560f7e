"""Oracles: gradients that are computed without the hand derivation, to compare it with.

Errors are defined in `multinn.testing.gradients`.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from backends import Array, Backend, BackendNotInstalledError, HostArray, Tree, get_backend, tree
from multinn.testing.gradient_cases import Case, Evaluation, Point
from multinn.testing.gradients import evaluate, malformed, run_compiled, tree_error

_STEP = 2.0**-10


class Oracle(NamedTuple):
    """An independent source of gradients.

    Attributes:
        name: the name in tables and records.
        dtype: the dtype of the hand-derived gradients.
        tolerance: the largest error that passes.
        meaning: describes the comparison, for the legend of a table.
    """

    name: str
    dtype: str
    tolerance: float
    meaning: str


DIFFERENCES = Oracle("central", "float64", 1e-8, "central differences of the backend's forward pass")
VJP = Oracle("jax.vjp", "float64", 1e-9, "JAX's own derivative of the same forward pass")
FLOAT64 = Oracle("float64", "float64", 1e-10, "the same gradients computed by NumPy without a compiler")
# Two backends that are this close to NumPy in float64 are within 1e-5 of each other.
FLOAT32 = Oracle("float32", "float32", 5e-6, "gradients in float32, compared with those in float64")
_FORM = "shapes, dtypes, and equal bits of results that are computed in two ways"
FORM64 = Oracle("form", "float64", 0.0, _FORM)
FORM32 = Oracle("form", "float32", 0.0, _FORM)
ALGEBRA = Oracle("algebra", "exact", 0.0, "SymPy's derivative of the forward pass")


class Check(NamedTuple):
    """One comparison; the error of "form" and of "algebra" is a number of arrays."""

    case: str
    backend: str
    oracle: str
    dtype: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; NaN is not."""
        return self.error <= self.tolerance


class GradientChecker:
    """Computes gradients and oracles at points drawn from one seed, each only once.

    Attributes:
        seed: the seed of the points, 0 or more.
        reference: the backend that the others must agree with, NumPy without a compiler.
        why_no_vjp: the reason why the oracle jax.vjp is missing; None if it is available.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.reference = get_backend("numpy:eager")
        self.why_no_vjp: str | None = None
        try:
            self._jax: Backend | None = get_backend("jax")
        except BackendNotInstalledError as error:
            self._jax, self.why_no_vjp = None, str(error)
        self._evaluations: dict[tuple[Case, Backend, str], Evaluation] = {}
        self._derivatives: dict[Case, Tree] = {}

    def oracles(self, backend: Backend) -> list[Oracle]:
        """Return the oracles for that backend; the reference is none for itself."""
        own = [] if backend is self.reference else [FLOAT64]
        vjp = [] if self._jax is None else [VJP]
        return [DIFFERENCES, *vjp, *own, FLOAT32, FORM64, FORM32]

    def check(self, case: Case, backend: Backend, oracle: Oracle) -> Check:
        """Compare the hand-derived gradients of a case on a backend with an oracle."""
        evaluation = self.evaluation(case, backend, oracle.dtype)
        if oracle in (FORM64, FORM32):
            error = float(malformed(evaluation, case.draw(self.seed), oracle.dtype))
        else:
            error = tree_error(evaluation.gradients, self._expected(case, backend, oracle))
        return Check(case.name, backend.name, oracle.name, oracle.dtype, error, oracle.tolerance)

    def evaluation(self, case: Case, backend: Backend, dtype: str) -> Evaluation:
        """Return the results of the case on a backend, as NumPy arrays."""
        key = (case, backend, dtype)
        if key not in self._evaluations:
            self._evaluations[key] = evaluate(case, backend, case.draw(self.seed), dtype)
        return self._evaluations[key]

    def _expected(self, case: Case, backend: Backend, oracle: Oracle) -> Tree:
        if oracle is DIFFERENCES:
            return central_differences(case, backend, case.draw(self.seed))
        if oracle is VJP and self._jax is not None:
            if case not in self._derivatives:
                self._derivatives[case] = jax_vjp(case, self._jax, case.draw(self.seed))
            return self._derivatives[case]
        return self.evaluation(case, self.reference, "float64").gradients


def central_differences(case: Case, backend: Backend, point: Point) -> Tree:
    """Return the gradient by central differences in float64, in the structure of the variables.

    f'(x) = (f(x - 2h) - 8 f(x - h) + 8 f(x + h) - f(x + 2h)) / 12h + O(h⁴). With h = 2⁻¹⁰, for functions
    that vary on a scale of 1, truncation and rounding are both about 1e-12, and x + h is exact.
    Source: B. Fornberg, Generation of finite difference formulas on arbitrarily spaced grids, 1988.
    """
    x = np.concatenate([leaf.reshape(-1) for leaf in tree.leaves(point.variables)])
    stencil = np.stack([x + offset * _STEP * np.eye(x.size) for offset in (-2.0, -1.0, 1.0, 2.0)])
    values = _values(case, backend, point, stencil.reshape(-1, x.size)).reshape(4, -1)
    slopes = ((values[0] - values[3]) + 8.0 * (values[2] - values[1])) / (12.0 * _STEP)
    return _unflatten(np, slopes, point.variables)


def jax_vjp(case: Case, backend: Backend, point: Point) -> Tree:
    """Return the gradient that JAX derives from the forward pass, in float64.

    Args:
        case: the function to differentiate.
        backend: a backend on JAX.
        point: where to differentiate.
    """
    import jax

    def gradients(variables: Tree, constants: Tree) -> Tree:
        value, pull_back = jax.vjp(lambda v: case.value(backend, v, constants), variables)
        return pull_back(backend.xp.ones_like(value))[0]

    with backend.precision("float64"):
        return run_compiled(backend, gradients, backend.from_numpy(point))


def _values(case: Case, backend: Backend, point: Point, rows: HostArray) -> HostArray:
    """Return the values of the function at several points; each row holds the flattened variables."""

    def value(constants: Tree, row: Array) -> tuple[Tree, Array]:
        return constants, case.value(backend, _unflatten(backend.xp, row, point.variables), constants)

    with backend.precision("float64"):
        arguments = backend.from_numpy((point.constants, rows))
        values: HostArray = run_compiled(backend, partial(backend.scan, value), arguments)[1]
    return values


def _unflatten(xp: Any, row: Array, like: Tree) -> Tree:
    """Return the numbers of ``row``, in the order of `tree.leaves`, as a tree like ``like``."""
    parts = {}
    start = 0
    for path, leaf in tree.leaves_with_paths(like):
        parts[path] = xp.reshape(row[start : start + leaf.size], leaf.shape)
        start += leaf.size
    return tree.map_with_paths(lambda path, _leaf: parts[path], like)
