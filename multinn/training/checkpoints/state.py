"""Named arrays from a training state, and a training state from named arrays."""

import math
import re
from typing import Any

import numpy as np

from backends import HostArray, Shape, Tree, tree
from multinn.optimizers import Optimizer
from multinn.training.program import TrainingProgram, TrainingState, first_state

# An entry of the optimizer's state; "optimizer" is the state inside the state of a wrapper.
_ENTRY = re.compile(r"^(optimizer_state\.(?:optimizer\.)*)(\w+)(.*)$")


class _LimitedGenerator(np.random.Generator):
    """Draws no more numbers in total than a file has bytes: a forged file could ask for any number."""

    def __init__(self, most: int) -> None:
        super().__init__(np.random.PCG64(0))
        self._most = most

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        self._check(size)
        return super().normal(loc, scale, size)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        self._check(size)
        return super().uniform(low, high, size)

    def _check(self, size: Any) -> None:
        self._most -= 0 if size is None else math.prod(np.atleast_1d(size).tolist())
        if self._most < 0:
            raise ValueError(f"the model has parameters of shape {size}, which the file cannot hold")


def expected_state(
    program: TrainingProgram, input_shape: Shape, most: int
) -> tuple[TrainingState, Shape]:
    """Return a state whose arrays have the right shapes but take no memory, and the output shape.

    The model may draw at most ``most`` numbers.
    """
    params, output_shape = program.model.init(_LimitedGenerator(most), input_shape)
    params = tree.map(lambda leaf: np.broadcast_to(np.zeros((), program.dtype), leaf.shape), params)
    state = first_state(program.model, program.optimizer, params, program.dtype)
    outline: TrainingState = tree.map(
        lambda leaf: np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape), state
    )
    return outline, output_shape


def matching_state(
    expected: TrainingState, tensors: dict[str, HostArray], optimizer: Optimizer
) -> TrainingState:
    """Return the tensors in the structure of the expected state, if they match it exactly.

    Entries that earlier versions saved for the optimizer are converted.
    """
    outline = named_arrays(expected)
    former = optimizer.former_entries()
    for name in [*tensors]:
        entry = _ENTRY.match(name)
        if entry is None or name in outline or entry[2] not in former:
            continue
        current, factor = former[entry[2]]
        current = entry[1] + current + entry[3]
        if current in outline and current not in tensors:
            tensors[current] = factor * tensors.pop(name)
    for name, leaf in outline.items():
        found = tensors.get(name)
        if found is None:
            raise ValueError(f"the tensor {name!r} is missing")
        if (found.shape, found.dtype) != (leaf.shape, leaf.dtype):
            raise ValueError(
                f"the tensor {name!r}: expected shape {leaf.shape} and {leaf.dtype}, got {found.shape} "
                f"and {found.dtype}"
            )
    unknown = sorted(tensors.keys() - outline.keys())
    if unknown:
        raise ValueError(f"the tensor {unknown[0]!r} is not part of this model, optimizer or history")
    state = tree.map_with_paths(lambda path, _: tensors[path], expected._asdict())
    return TrainingState(**state)


def named_arrays(state: TrainingState) -> dict[str, Any]:
    """Return the arrays by their paths, such as ``params.0.W``."""
    parts = [tree.leaves_with_paths({part: values}) for part, values in state._asdict().items()]
    leaves = [leaf for part in parts for leaf in part]
    named: dict[str, Any] = {}
    for path, leaf in leaves:
        if path in named:
            raise ValueError(f"two arrays of the state have the same path {path!r}; rename a parameter")
        named[path] = leaf
    return named


def with_current_entries(optimizer: Optimizer, state: Tree) -> Tree:
    """Return the state of an optimizer, perhaps from an old pickle, with the current entries."""
    if not isinstance(state, dict):
        return state
    former = optimizer.former_entries()
    entries = {}
    for name, entry in state.items():
        current, factor = former.get(name, (name, None))
        if name == "optimizer":
            entry = with_current_entries(optimizer, entry)
        elif factor is not None:
            entry = tree.map(lambda leaf, factor=factor: factor * leaf, entry)
        entries[current] = entry
    return entries
