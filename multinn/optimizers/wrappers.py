"""Optimizers that wrap another optimizer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from backends import Backend, Tree, tree
from multinn.descriptions.bounds import check_positive
from multinn.optimizers.base import Optimizer, global_unit_and_length


@dataclass(frozen=True)
class Wrapper(Optimizer):
    """The base of optimizers that wrap another one, whose state they share unless they override `init`.

    Raises:
        TypeError: ``optimizer`` is not an optimizer.
    """

    optimizer: Optimizer

    def __post_init__(self) -> None:
        if not isinstance(self.optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: expected an optimizer such as Adam(), got {self.optimizer!r}"
            )

    def init(self, params: Tree) -> Tree:
        """Return the state of the wrapped optimizer."""
        return self.optimizer.init(params)

    def inference_parameters(self, backend: Backend, state: Tree, params: Tree) -> Tree:
        """Return the inference parameters of the wrapped optimizer."""
        return self.optimizer.inference_parameters(backend, state, params)

    def former_entries(self) -> dict[str, tuple[str, float]]:
        """Return the former entries of the wrapped optimizer."""
        return self.optimizer.former_entries()


@dataclass(frozen=True)
class ClipByGlobalNorm(Wrapper):
    """Scales gradients down to a global norm of at most ``max_norm`` for the wrapped optimizer.

    ‖g‖ is the norm of all gradients as one vector. If it is larger, g ← g · max_norm / ‖g‖.
    Source: R. Pascanu, T. Mikolov and Y. Bengio, On the difficulty of training recurrent neural
    networks, ICML 2013, algorithm 1.

    Raises:
        ValueError: max_norm is not positive and finite.
    """

    max_norm: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "max_norm")

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        if not tree.leaves(gradients):
            return self.optimizer.update(backend, gradients, state, params)
        unit, length = global_unit_and_length(backend, gradients)
        factor = self.max_norm / backend.xp.maximum(length, 1.0)  # all zeros have the length 0
        too_long = unit > factor  # so compared, as unit · length may overflow
        clipped = tree.map(lambda g: backend.xp.where(too_long, g / unit * factor, g), gradients)
        return self.optimizer.update(backend, clipped, state, params)


@dataclass(frozen=True)
class Freeze(Wrapper):
    """Keeps some parameters constant; the wrapped optimizer updates the others.

    It gets zeros as the gradients of the constant ones, so they add nothing to the norm in a wrapped
    `ClipByGlobalNorm`.

    Attributes:
        optimizer: updates all other parameters.
        paths: patterns of places in the tree of parameters, such as ``0.W`` or ``*.b``, in which
            ``*`` matches anything.

    Raises:
        TypeError: paths is a single string, or not made of strings.

    >>> from multinn import SGD
    >>> Freeze(SGD(0.1), ("*.b",)).paths
    ('*.b',)
    """

    paths: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        given: Any = self.paths
        is_list = isinstance(given, Iterable) and not isinstance(given, str | Mapping)
        paths = tuple(given) if is_list else None
        if paths is None or not all(isinstance(path, str) for path in paths):
            raise TypeError(
                f"Freeze: expected paths: a tuple of patterns, such as ('*.b',), got {given!r}"
            )
        object.__setattr__(self, "paths", paths)

    def init(self, params: Tree) -> Tree:
        """Return the state of the wrapped optimizer.

        Raises:
            ValueError: a pattern matches no parameter.
        """
        names = [name for name, _ in tree.leaves_with_paths(params)]
        for pattern in self.paths:
            if not any(fnmatchcase(name, pattern) for name in names):
                within = [name for name in names if fnmatchcase(name, f"{pattern}.*")]
                hint = f"; write '{pattern}.*' for {', '.join(within)}" if within else ""
                raise ValueError(
                    f"Freeze: the path {pattern!r} matches none of the parameters "
                    f"{', '.join(names)}{hint}"
                )
        return self.optimizer.init(params)

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        gradients = tree.map_with_paths(
            lambda name, g: backend.xp.zeros_like(g) if self._frozen(name) else g, gradients
        )
        updated, state = self.optimizer.update(backend, gradients, state, params)
        return self._with_frozen(updated, params), state

    def inference_parameters(self, backend: Backend, state: Tree, params: Tree) -> Tree:
        """Return the wrapped optimizer's inference parameters, with the frozen ones from ``params``."""
        return self._with_frozen(super().inference_parameters(backend, state, params), params)

    def _with_frozen(self, updated: Tree, params: Tree) -> Tree:
        """Return the updated parameters, with the frozen ones from ``params``."""
        return tree.map_with_paths(
            lambda name, new, old: old if self._frozen(name) else new, updated, params
        )

    def _frozen(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.paths)
