"""Gradients of the loss, with respect to parameters and to inputs."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from backends import Array, Backend, HostArray, Tree, get_backend, tree
from multinn import functional
from multinn.descriptions.types import checks_arguments
from multinn.host.checks import check_inputs, check_parameters, kind_text
from multinn.host.shapes_only import ShapesOnly
from multinn.host.trees import shape_of
from multinn.layers import Layer
from multinn.layers.base import check_takes, values_of
from multinn.losses import Loss
from multinn.losses.base import outputs_for
from multinn.optimizers import SGD
from multinn.random import Key
from multinn.training.compiled import CompiledPrograms
from multinn.training.examples import check_examples
from multinn.training.program import Examples, ModelState, TrainingProgram


@checks_arguments
def value_and_gradients(
    backend: str | Backend | None,
    model: Layer,
    loss: Loss,
    params: Tree,
    examples: Any,
    key: Key | None = None,
) -> tuple[Array, Tree, Tree]:
    """Return the loss, the model's outputs, and the gradients with respect to the parameters.

    For models whose layers have no state.

    Args:
        backend: as in `backends.get_backend`.
        model: a layer, such as Sequential.
        loss: called on the model's outputs.
        params: the model's parameters, arrays.
        examples: a pair (x, y) or (x, y, weights), as in `Trainer.fit`, which is checked and computed in
            the dtype of the parameters; the results are then NumPy arrays. Or `Examples`, which are not
            checked: they, the parameters and the results are arrays of the backend.
        key: a key to train, None to run the model as at inference.

    Raises:
        BackendError: the backend, or the dtype on it, is not available.
        TypeError, ValueError: the pair or the parameters do not fit the model or the loss.

    >>> import numpy as np
    >>> from multinn import Dense, MeanSquaredError
    >>> params = {"W": np.array([[2.0]]), "b": np.array([1.0])}
    >>> value, outputs, gradients = value_and_gradients(
    ...     "numpy", Dense(1), MeanSquaredError(), params, ([[3.0]], [[5.0]])
    ... )
    >>> value.item(), outputs.tolist(), gradients["W"].tolist()
    (4.0, [[7.0]], [[12.0]])
    """
    backend = get_backend(backend)
    if isinstance(examples, Examples):
        return _value_and_gradients(backend, model, loss, params, examples, key)
    if not (isinstance(examples, tuple | list) and len(examples) in (2, 3)):
        raise ValueError(
            f"examples: expected (x, y), (x, y, weights) or Examples, got {kind_text(examples)}"
        )
    names = [str(getattr(leaf, "dtype", "")) for leaf in tree.leaves(params)]  # PyTorch's has a prefix
    dtype = "float32" if all(name.endswith("float32") for name in names) else "float64"
    x, y, weights = (*examples, None)[:3]
    inputs = check_inputs(x, dtype)
    shape = shape_of(inputs)
    check_takes(model, shape)
    drawn, output_shape = model.init(ShapesOnly(), shape)
    params = tree.map(lambda leaf: leaf.astype(dtype), check_parameters(drawn, params))
    program = TrainingProgram(backend, model, loss, SGD(1.0), {}, dtype)
    checked = check_examples(program, inputs, y, weights, (shape, output_shape))
    checked = checked._replace(x=tree.map(lambda leaf: leaf.astype(dtype), checked.x))
    with backend.precision(dtype):
        if key is not None:
            key = key._replace(words=backend.from_numpy(np.asarray(key.words)))
        arguments = (*backend.from_numpy((params, checked)), key)
        results = _value_and_gradients(backend, model, loss, *arguments)
        host: tuple[HostArray, Tree, Tree] = backend.to_numpy(results)
    return host


def _value_and_gradients(
    backend: Backend, model: Layer, loss: Loss, params: Tree, examples: Examples, key: Key | None
) -> tuple[Array, Tree, Tree]:
    y, cache = model.forward(backend, params, examples.x, key)
    value, dy = loss(backend, outputs_for(loss, y), examples.targets, examples.weights)
    return value, values_of(y), model.parameter_gradients(backend, params, cache, dy)


def parameter_gradients(
    program: TrainingProgram,
    programs: CompiledPrograms,
    state: ModelState,
    chunks: Iterable[Examples],
    count: int,
) -> Tree:
    """Return the gradients of the loss over all examples at inference, as NumPy arrays.

    A mean loss is L = Σ_k W_k L_k / n, with the sum W_k of the weights of chunk k, its loss L_k, and n
    examples of mean weight 1. So ∂L/∂params = Σ_k W_k ∂L_k/∂params / n. For a sum, L = Σ_k L_k.

    Args:
        program: the model and the loss, on their backend.
        programs: the compiled functions.
        state: the state of the model, arrays of the backend.
        chunks: from `weighted_chunks`, on the backend.
        count: the number n of all examples.
    """

    def weighted_parameter_gradients(state: ModelState, examples: Examples) -> Tree:
        cache, dy = _backpropagated(program, state, examples)
        return program.model.parameter_gradients(program.backend, state.params, cache, dy)

    total = None
    for own in _computed(program, programs, weighted_parameter_gradients, state, chunks):
        own = tree.map(lambda g: g.astype(np.float64), own)
        total = own if total is None else tree.map(np.add, total, own)
    return _divided(program, total, count)


def input_gradients(
    program: TrainingProgram,
    programs: CompiledPrograms,
    state: ModelState,
    chunks: Iterable[Examples],
    count: int,
) -> Tree:
    """Return ∂L/∂x_n = W_k ∂L_k/∂x_n / n for example n of chunk k, or ∂L_k/∂x_n for a sum.

    The arguments are those of `parameter_gradients`.
    """

    def weighted_input_gradients(state: ModelState, examples: Examples) -> Tree:
        cache, dy = _backpropagated(program, state, examples)
        return program.model.backward(program.backend, state.params, cache, dy)[0]

    parts = [*_computed(program, programs, weighted_input_gradients, state, chunks)]
    whole = tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)
    return _divided(program, whole, count)


def _computed(
    program: TrainingProgram,
    programs: CompiledPrograms,
    function: Callable[[ModelState, Examples], Tree],
    state: ModelState,
    chunks: Iterable[Examples],
) -> Iterator[Tree]:
    for chunk in chunks:
        yield program.backend.to_numpy(programs.get(function, state, chunk)(state, chunk))


def _backpropagated(
    program: TrainingProgram, state: ModelState, examples: Examples
) -> tuple[Tree, Tree]:
    """Return the cache, and W ∂L/∂y for a mean loss with weights of the sum W, or ∂L/∂y for a sum."""
    backend, weights = program.backend, examples.weights
    y, cache = program.model.forward_with_state(backend, *state, program._cast(examples.x))
    _, dy = program.loss(backend, outputs_for(program.loss, y), examples.targets, weights)
    if program.loss.reduction == "mean":
        total = backend.xp.sum(functional.example_weights(backend, weights))
        dy = tree.map(lambda leaf: leaf * total, dy)
    return cache, dy


def _divided(program: TrainingProgram, gradients: Tree, count: int) -> Tree:
    share = 1.0 / count if program.loss.reduction == "mean" else 1.0
    return tree.map(lambda g: (g * share).astype(program.dtype), gradients)
