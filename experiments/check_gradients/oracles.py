"""The comparisons of hand-derived gradients with every oracle.

Errors are defined in `multinn.testing.gradients`.
"""

from typing import NamedTuple

from backends import Backend, BackendNotInstalledError, Tree, get_backend
from multinn.testing.gradient_cases import Case, Evaluation
from multinn.testing.gradients import TOLERANCES, evaluate, malformed, tree_error
from multinn.testing.oracles import central_differences, derivative


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


DIFFERENCES = Oracle(
    "central", "float64", TOLERANCES["central"], "central differences of the backend's forward pass"
)
VJP = Oracle(
    "jax.vjp", "float64", TOLERANCES["derivative"], "JAX's own derivative of the same forward pass"
)
FLOAT64 = Oracle(
    "float64",
    "float64",
    TOLERANCES["backend"],
    "the same gradients computed by NumPy without a compiler",
)
FLOAT32 = Oracle(
    "float32", "float32", TOLERANCES["float32"], "gradients in float32, compared with those in float64"
)
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
                self._derivatives[case] = derivative(case, self._jax, case.draw(self.seed))
            return self._derivatives[case]
        return self.evaluation(case, self.reference, "float64").gradients
