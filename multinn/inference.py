"""A trained model on many examples, in pieces of few different sizes."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from backends import Array, Backend, HostArray
from multinn.figures import combine
from multinn.history import Record
from multinn.pieces import padded, pieces
from multinn.programs import CompiledPrograms
from multinn.training import Examples, ModelState, TrainingProgram


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
