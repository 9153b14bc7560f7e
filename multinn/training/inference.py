"""A trained model on many examples, in pieces of few different sizes."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from backends import Array, Backend, HostArray
from multinn.training.compiled import CompiledPrograms
from multinn.training.history import Record, combine
from multinn.training.plan import Examples
from multinn.training.program import ModelState, TrainingProgram


def pieces(count: int, size: int) -> Iterator[tuple[slice, int]]:
    """Yield the rows of each piece, and the size that it is padded to.

    All pieces have ``size`` rows but the last, which is padded to a power of two.

    >>> list(pieces(21, 8))
    [(slice(0, 8, None), 8), (slice(8, 16, None), 8), (slice(16, 21, None), 8)]
    >>> list(pieces(3, 8))
    [(slice(0, 3, None), 4)]
    """
    for start in range(0, count, size):
        rows = min(size, count - start)
        yield slice(start, start + rows), min(size, 1 << (rows - 1).bit_length())


def padded(array: HostArray, size: int) -> HostArray:
    """Return the array with its last row repeated, up to that many: nothing that a model never saw."""
    missing = size - array.shape[0]
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing else array


def weighted_pieces(examples: Examples, size: int, dtype: str) -> Iterator[Examples]:
    """Yield examples in pieces, padded with examples of weight zero; weights are of that dtype."""
    for rows, padded_size in pieces(examples.x.shape[0], size):
        weights = np.zeros(padded_size, dtype)
        weights[: rows.stop - rows.start] = 1.0 if examples.weights is None else examples.weights[rows]
        yield Examples(
            padded(examples.x[rows], padded_size), padded(examples.targets[rows], padded_size), weights
        )


class InputPieces(NamedTuple):
    """Inputs in pieces.

    Attributes:
        examples: how many there are.
        pieces: the rows of each piece, and the piece on a backend, padded.
    """

    examples: int
    pieces: Iterable[tuple[slice, Array]]


def input_pieces(backend: Backend, inputs: HostArray, size: int) -> InputPieces:
    """Return pieces that are put on the backend one by one, as they are asked for.

    Args:
        backend: where they go.
        inputs: (examples, ...), on the host.
        size: examples a piece.
    """
    return InputPieces(
        len(inputs),
        (
            (rows, backend.from_numpy(padded(inputs[rows], padded_size)))
            for rows, padded_size in pieces(len(inputs), size)
        ),
    )


def predict(
    program: TrainingProgram, programs: CompiledPrograms, state: ModelState, inputs: InputPieces
) -> HostArray:
    """Return the outputs, (examples, ...), as a new NumPy array.

    Args:
        program: the model, on its backend.
        programs: what is compiled.
        state: of the model, arrays of the backend.
        inputs: at least one, on that backend.
    """
    backend = program.backend
    outputs = None
    for rows, piece in inputs.pieces:
        result = backend.to_numpy(programs.get(program.predict, state, piece)(state, piece))
        if outputs is None:
            outputs = np.empty((inputs.examples, *result.shape[1:]), result.dtype)
        outputs[rows] = result[: rows.stop - rows.start]
    assert outputs is not None  # there is at least one example
    return outputs


def evaluate(
    program: TrainingProgram,
    programs: CompiledPrograms,
    state: ModelState,
    examples: Iterable[Examples],
) -> Record:
    """Return the loss and the metrics over all examples.

    Args:
        program: the model, the loss and the metrics, on their backend.
        programs: what is compiled.
        state: of the model, arrays of the backend.
        examples: weighted pieces, on the backend.
    """
    records = []
    for piece in examples:
        compiled = programs.get(program.evaluate, state, piece)
        records.append(program.backend.to_numpy(compiled(state, piece)))
    columns = {name: np.array([record[name] for record in records], np.float64) for name in records[0]}
    return combine(columns, columns["weight"], program.reductions)
