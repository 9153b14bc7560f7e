"""Proofs, by computer algebra, that hand-derived gradients are the derivative of the forward pass.

Every float of a case is a symbol: inputs, parameters, dy, targets, weights. The case's own code runs on
these symbols, and its value is differentiated with respect to each variable. Each entry of each
hand-derived gradient minus that derivative is shown to be identically zero. The proofs assume:

- Comparisons (the maximum of a row, the sign of an input, masks) have the result that they have at the
  drawn point. So an identity holds on one side of each kink. Points have entries on both sides.
- A float of the source code is the simplest rational number that rounds to it.
- Constants that are exactly 0 or 1 are these numbers: weights, targets. Targets that are probabilities
  are symbols that sum to 1.
- Φ, the normal distribution, is SymPy's, with Φ' = φ. `functional.normal_cdf` sums a series that equals
  Φ up to rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from backends import Tree, tree
from experiments.check_gradients.symbolic import Expression, FullError, SymbolicBackend, UnreachedError
from multinn import functional
from multinn.testing.gradient_cases import Case, Point

# The reasons why computer algebra cannot prove a case, by the name of the case.
NOT_REACHED: Mapping[str, str] = {}

_CAPACITY_FOR_NAMES = 32
_ZERO = 1e-9


class Proof(NamedTuple):
    """The result for one case.

    Attributes:
        case: the name of the case.
        identities: the number of entries of gradients that were compared with derivatives.
        comparisons: the number of comparisons that were decided at the point.
        wrong: the paths of gradients that are not the derivative; empty if all are proved.
    """

    case: str
    identities: int
    comparisons: int
    wrong: tuple[str, ...]


class Proofs(NamedTuple):
    """The results for several cases.

    Attributes:
        proofs: the proofs by the name of the case.
        not_reached: the reasons why there is no proof, by the name of the case.
    """

    proofs: dict[str, Proof]
    not_reached: dict[str, str]


def prove_all(cases: Sequence[Case], seed: int, advance: Callable[[], None]) -> Proofs:
    """Prove all cases that algebra reaches.

    Args:
        cases: the cases to prove.
        seed: as for `prove`.
        advance: called after each case.
    """
    proofs, not_reached = {}, {}
    for case in cases:
        try:
            if case.name in NOT_REACHED:
                raise UnreachedError(NOT_REACHED[case.name])
            proofs[case.name] = prove(case, seed)
        except UnreachedError as error:
            not_reached[case.name] = str(error)
        advance()
    return Proofs(proofs, not_reached)


def prove(case: Case, seed: int = 0) -> Proof:
    """Decide for each gradient of a case, or of its smaller version, whether it is the derivative.

    Args:
        case: the case to prove.
        seed: the seed of the point at which comparisons are decided.

    Raises:
        UnreachedError: computer algebra cannot decide it.
    """
    point = (case.smaller or case).draw(seed)
    capacity = (
        sum(leaf.size for leaf in tree.leaves(point) if leaf.dtype.kind == "f") + _CAPACITY_FOR_NAMES
    )
    while True:
        try:
            return _prove(case.smaller or case, point, SymbolicBackend(capacity))._replace(
                case=case.name
            )
        except FullError:
            capacity *= 2


def _prove(case: Case, point: Point, backend: SymbolicBackend) -> Proof:
    variables = backend.from_numpy(point.variables)
    constants = tree.map(_kept, backend.from_numpy(point.constants), point.constants)
    with patch.object(functional, "normal_cdf", _normal_cdf):
        value = np.asarray(case.value(backend, variables, constants)).item()
        gradients = case.evaluate(backend, variables, constants).gradients
    return Proof(
        case.name,
        sum(leaf.size for leaf in tree.leaves(variables)),
        backend.field.comparisons,
        tuple(_wrong_paths(value, variables, gradients)),
    )


def _wrong_paths(value: Expression, variables: Tree, gradients: Tree) -> list[str]:
    by_path = dict(tree.leaves_with_paths(gradients))
    wrong = []
    for path, symbols in tree.leaves_with_paths(variables):
        gradient = by_path.pop(path, None)
        if (
            gradient is None
            or gradient.shape != symbols.shape
            or not _is_gradient(value, gradient, symbols)
        ):
            wrong.append(path)
    return [*wrong, *by_path]


def _is_gradient(value: Expression, gradient: Any, symbols: Any) -> bool:
    for entry, symbol in zip(gradient.flat, symbols.flat, strict=True):
        difference = value.derivative(symbol) - entry
        if difference.is_zero():
            continue
        if abs(float(difference)) > _ZERO:
            return False
        raise UnreachedError("a difference is 0 at the point, but may not be 0 elsewhere")
    return True


def _kept(symbols: Any, numbers: Any) -> Any:
    """Return symbols with what code relies on: zeros, ones, and sums of 1 along the last axis."""
    if numbers.dtype.kind != "f":
        return symbols
    kept = np.where((numbers == 0.0) | (numbers == 1.0), numbers, symbols)
    if numbers.ndim and numbers.shape[-1] > 1 and (numbers.sum(axis=-1) == 1.0).all():
        largest = numbers.argmax(axis=-1)[..., None]
        others = np.where(np.arange(numbers.shape[-1]) == largest, 0.0, kept)
        np.put_along_axis(kept, largest, 1.0 - others.sum(axis=-1, keepdims=True), axis=-1)
    return kept


def _normal_cdf(backend: SymbolicBackend, x: Any) -> Any:
    return backend.xp.normal_cdf(x)
