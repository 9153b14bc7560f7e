"""Proofs, by computer algebra, that hand-derived gradients are the derivative of the forward pass.

Every float of a case is a symbol: inputs, parameters, dy, targets, weights. The case's own code runs on
these, its value is differentiated with respect to each variable, and each entry of each hand-derived
gradient minus that derivative is shown to be zero, identically. What a proof rests on:

- Comparisons (the maximum of a row, the sign of an input, masks) are answered as at the point that was
  drawn. So the identity holds wherever they all turn out the same: on one side of each kink. Points have
  entries on both sides.
- Floats of the source code stand for the simplest rational that they are the rounding of.
- Targets that are probabilities are symbols that sum to 1.
- Φ, the normal distribution, is SymPy's, with Φ' = φ. `functional.normal_cdf` sums a series that is Φ to
  rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from backends import Tree, tree
from experiments.check_gradients.symbolic import Expression, FullError, SymbolicBackend, UnreachedError
from multinn import functional
from multinn.testing.gradient_cases import Case, Point

# The cases that computer algebra does not reach, by name, with the reason.
NOT_REACHED: Mapping[str, str] = {}

_ROOM_FOR_NAMES = 32
_ZERO = 1e-9


class Proof(NamedTuple):
    """What was shown of a case.

    Attributes:
        case: its name.
        identities: how many entries of gradients were held against derivatives.
        comparisons: how many comparisons were answered as at the point.
        wrong: the paths of gradients that are not the derivative; empty if all is proved.
    """

    case: str
    identities: int
    comparisons: int
    wrong: tuple[str, ...]


class Proofs(NamedTuple):
    """What was shown of several cases.

    Attributes:
        proofs: by the name of the case.
        not_reached: the reason, by the name of the case; all others were reached.
    """

    proofs: dict[str, Proof]
    not_reached: dict[str, str]


def prove_all(cases: Sequence[Case], seed: int, advance: Callable[[], None]) -> Proofs:
    """Prove what is in reach, and say what is not.

    Args:
        cases: what to prove.
        seed: as for `prove`.
        advance: is called after each case.
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
    """Show of each gradient of a case, or of its smaller version, whether it is the derivative.

    Args:
        case: what to prove.
        seed: of the point at which comparisons are answered.

    Raises:
        UnreachedError: computer algebra cannot tell.
    """
    point = (case.smaller or case).draw(seed)
    capacity = sum(leaf.size for leaf in tree.leaves(point) if leaf.dtype.kind == "f") + _ROOM_FOR_NAMES
    while True:
        try:
            return _prove(case.smaller or case, point, SymbolicBackend(capacity))._replace(
                case=case.name
            )
        except FullError:
            capacity *= 2


def _prove(case: Case, point: Point, backend: SymbolicBackend) -> Proof:
    variables = backend.from_numpy(point.variables)
    constants = tree.map(_kept_probabilities, backend.from_numpy(point.constants), point.constants)
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
        raise UnreachedError("a difference is 0 at the point, and algebra cannot tell about elsewhere")
    return True


def _kept_probabilities(symbols: Any, numbers: Any) -> Any:
    """Return symbols that sum to 1 along the last axis if the numbers do, else as they are."""
    if (
        numbers.dtype.kind != "f"
        or not numbers.ndim
        or numbers.shape[-1] < 2
        or not (numbers.sum(axis=-1) == 1.0).all()
    ):
        return symbols
    free = symbols[..., :-1]
    return np.concatenate([free, 1 - free.sum(axis=-1, keepdims=True)], axis=-1)


def _normal_cdf(backend: SymbolicBackend, x: Any) -> Any:
    return backend.xp.normal_cdf(x)
