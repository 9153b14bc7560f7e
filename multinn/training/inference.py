"""Predictions and evaluations in chunks of few different sizes, so that few programs are compiled."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from backends import Backend, HostArray, Tree, tree
from multinn.host.trees import count_of, rows_of
from multinn.training.compiled import CompiledPrograms
from multinn.training.history import Record, combine_batches
from multinn.training.program import Examples, ModelState, TrainingProgram


class InputChunks(NamedTuple):
    """Inputs in chunks.

    Attributes:
        examples: the number of examples.
        chunks: the rows of each chunk, and the chunk on a backend, padded.
    """

    examples: int
    chunks: Iterable[tuple[slice, Tree]]


def input_chunks(backend: Backend, inputs: Tree, size: int) -> InputChunks:
    """Return chunks that are put on the backend one by one, as they are needed.

    Args:
        backend: the backend.
        inputs: (examples, ...), on the host, or a dict or a tuple of such arrays.
        size: examples in a chunk.
    """
    count = count_of(inputs)
    return InputChunks(
        count,
        (
            (rows, backend.from_numpy(_padded(rows_of(inputs, rows), padded_size)))
            for rows, padded_size in chunk_rows(count, size)
        ),
    )


def weighted_chunks(examples: Examples, size: int, dtype: str) -> Iterator[Examples]:
    """Yield examples in chunks, padded with examples of weight zero; the weights have that dtype."""
    for rows, padded_size in chunk_rows(count_of(examples.x), size):
        count = rows.stop - rows.start
        own = np.ones(count, dtype) if examples.weights is None else rows_of(examples.weights, rows)
        weights = tree.map(partial(_with_zeros, size=padded_size), own)
        x, targets = _padded(rows_of((examples.x, examples.targets), rows), padded_size)
        yield Examples(x, targets, weights)


def chunk_rows(count: int, size: int) -> Iterator[tuple[slice, int]]:
    """Yield the rows of each chunk, and the size that it is padded to.

    Each chunk has ``size`` rows, except a smaller last one, which is padded to a power of two.

    >>> list(chunk_rows(21, 8))
    [(slice(0, 8, None), 8), (slice(8, 16, None), 8), (slice(16, 21, None), 8)]
    >>> list(chunk_rows(3, 8))
    [(slice(0, 3, None), 4)]
    """
    for start in range(0, count, size):
        rows = min(size, count - start)
        yield slice(start, start + rows), min(size, 1 << (rows - 1).bit_length())


def _padded(values: Tree, size: int) -> Tree:
    """Repeat the last row, which the model accepts, until each array has ``size`` rows."""
    missing = size - count_of(values)
    if not missing:
        return values
    return tree.map(lambda leaf: np.concatenate([leaf, np.repeat(leaf[-1:], missing, axis=0)]), values)


def _with_zeros(array: HostArray, size: int) -> HostArray:
    """Add rows of zeros until the array has ``size`` rows."""
    zeros = np.zeros((size - len(array), *array.shape[1:]), array.dtype)
    return np.concatenate([array, zeros]) if len(zeros) else array


def predict(
    program: TrainingProgram, programs: CompiledPrograms, state: ModelState, inputs: InputChunks
) -> Tree:
    """Return the outputs, (examples, ...), as a new NumPy array, or a dict or a tuple of these.

    Args:
        program: the model, on its backend.
        programs: the compiled functions.
        state: the state of the model, arrays of the backend.
        inputs: at least one example, on that backend.
    """
    backend = program.backend
    outputs = None
    for rows, chunk in inputs.chunks:
        result = backend.to_numpy(programs.get(program.predict, state, chunk)(state, chunk))
        if outputs is None:
            empty = partial(_empty_like, count=inputs.examples)
            outputs = tree.map(empty, result)
        for output, part in zip(tree.leaves(outputs), tree.leaves(result), strict=True):
            output[rows] = part[: rows.stop - rows.start]
    return outputs


def _empty_like(array: HostArray, count: int) -> HostArray:
    return np.empty((count, *array.shape[1:]), array.dtype)


def evaluate(
    program: TrainingProgram, programs: CompiledPrograms, state: ModelState, examples: Iterable[Examples]
) -> Record:
    """Return the loss and the metrics over all examples.

    Args:
        program: the model, the loss and the metrics, on their backend.
        programs: the compiled functions.
        state: the state of the model, arrays of the backend.
        examples: from `weighted_chunks`, on the backend.
    """
    records = []
    for chunk in examples:
        compiled = programs.get(program.evaluate, state, chunk)
        records.append(program.backend.to_numpy(compiled(state, chunk)))
    columns = {name: np.array([record[name] for record in records], np.float64) for name in records[0]}
    return combine_batches(columns, columns["weight"], program.reductions)
