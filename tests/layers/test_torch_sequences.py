"""Layers for sequences against PyTorch: values and gradients in float64."""

from functools import partial

import numpy as np
import pytest

from backends import Backend, Tree, get_backend
from multinn import GRU, LSTM, Bidirectional, Embedding, Layer, SimpleRNN
from multinn.layers.base import values_of, with_mask
from multinn.layers.sequences.recurrent import Recurrent

torch = pytest.importorskip("torch")

BATCH, TIME, INPUTS, UNITS = 3, 5, 2, 4
LENGTHS = (5, 2, 3)
MASK = np.arange(TIME) < np.array(LENGTHS)[:, None]
PEERS = {SimpleRNN: torch.nn.RNN, GRU: torch.nn.GRU, LSTM: torch.nn.LSTM}

every_kind = pytest.mark.parametrize("kind", PEERS)
whole_or_last = pytest.mark.parametrize("return_sequences", [True, False], ids=["all", "last"])
close = partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)


def draw(layer: Layer, seed: int = 0) -> tuple[Tree, np.ndarray, np.ndarray]:
    """Return parameters, none of them zero, x, and dy."""
    generator = np.random.default_rng(seed)
    _, shape = layer.init(generator, (TIME, INPUTS))
    layers = layer.children if isinstance(layer, Bidirectional) else (layer,)
    params = tuple(
        {name: 0.5 * generator.normal(size=leaf.shape) for name, leaf in init.items()}
        for init in (each.init(generator, (TIME, INPUTS))[0] for each in layers)
    )
    x = generator.normal(size=(BATCH, TIME, INPUTS))
    return params if len(layers) > 1 else params[0], x, generator.normal(size=(BATCH, *shape))


def run(
    backend: Backend, layer: Layer, params: Tree, x: np.ndarray, dy: np.ndarray, mask: Tree = None
) -> Tree:
    """Return y, dx and the gradients of the parameters."""

    def both(params: Tree, x: Tree, dy: Tree, mask: Tree) -> Tree:
        y, cache = layer.forward(backend, params, with_mask(x, mask))
        return values_of(y), *layer.backward(backend, params, cache, dy)

    with backend.precision("float64"):
        arguments = backend.from_numpy((params, x, dy, mask))
        return backend.to_numpy(backend.jit(both, *arguments)(*arguments))


def peer_of(kind: type[Recurrent], *params: Tree) -> "torch.nn.Module":
    """Return PyTorch's layer with these parameters; a second set is for the reverse direction."""
    bidirectional = len(params) > 1
    peer = PEERS[kind](INPUTS, UNITS, batch_first=True, bidirectional=bidirectional).double()
    with torch.no_grad():
        for own, end in zip(params, ("", "_reverse"), strict=False):
            second_bias = np.full_like(own["b"], 0.25)
            first_bias = own["b"] - second_bias
            if "c" in own:  # is added only to h U
                second_bias[2 * UNITS :], first_bias[2 * UNITS :] = own["c"], own["b"][2 * UNITS :]
            values = {"weight_ih": own["W"].T, "weight_hh": own["U"].T}
            for name, value in (values | {"bias_ih": first_bias, "bias_hh": second_bias}).items():
                getattr(peer, f"{name}_l0{end}").copy_(torch.from_numpy(np.array(value)))
    return peer


def gradients_of(peer: "torch.nn.Module", like: Tree, end: str = "") -> Tree:
    """Return the gradients of a PyTorch layer in the form of ours."""
    grads = {
        name.split("_l0")[0]: p.grad.numpy()
        for name, p in peer.named_parameters()
        if name.endswith(f"_l0{end}")
    }
    ours = {"W": grads["weight_ih"].T, "U": grads["weight_hh"].T, "b": grads["bias_ih"]}
    return ours | ({"c": grads["bias_hh"][2 * UNITS :]} if "c" in like else {})


def last_states(states: Tree) -> "torch.Tensor":
    h = states[0] if isinstance(states, tuple) else states
    return torch.cat(list(h), dim=1)


def assert_trees_are_close(got: Tree, expected: Tree) -> None:
    assert got.keys() == expected.keys()
    for name, leaf in expected.items():
        close(got[name], leaf, err_msg=name)


@every_kind
@whole_or_last
def test_recurrent_layers(backend, kind, return_sequences):
    layer = kind(UNITS, return_sequences=return_sequences)
    params, x, dy = draw(layer)
    y, dx, gradients = run(backend, layer, params, x, dy)
    peer, x_there = peer_of(kind, params), torch.tensor(x, requires_grad=True)
    outputs, states = peer(x_there)
    expected = outputs if return_sequences else last_states(states)
    expected.backward(torch.from_numpy(dy))
    close(y, expected.detach().numpy())
    close(dx, x_there.grad.numpy())
    assert_trees_are_close(gradients, gradients_of(peer, params))


@every_kind
@whole_or_last
def test_bidirectional_layers_of_padded_sequences(kind, return_sequences):
    layer = Bidirectional(kind(UNITS, return_sequences=return_sequences))
    params, x, dy = draw(layer)
    dy = dy * MASK[..., None] if return_sequences else dy
    y, dx, gradients = run(get_backend("numpy"), layer, params, x, dy, MASK)
    peer, x_there = peer_of(kind, *params), torch.tensor(x, requires_grad=True)
    rnn = torch.nn.utils.rnn
    packed = rnn.pack_padded_sequence(x_there, LENGTHS, batch_first=True, enforce_sorted=False)
    outputs, states = peer(packed)
    outputs, _ = rnn.pad_packed_sequence(outputs, batch_first=True)
    expected = outputs if return_sequences else last_states(states)
    expected.backward(torch.from_numpy(dy))
    close(y * MASK[..., None] if return_sequences else y, expected.detach().numpy())
    close(dx, x_there.grad.numpy())
    for own, like, end in zip(gradients, params, ("", "_reverse"), strict=True):
        assert_trees_are_close(own, gradients_of(peer, like, end))


@every_kind
def test_truncation_takes_the_states_at_the_cuts_as_constants(kind):
    layer = kind(UNITS, return_sequences=True, truncate=2)
    params, x, dy = draw(layer)
    y, dx, gradients = run(get_backend("numpy"), layer, params, x, dy)
    peer, x_there = peer_of(kind, params), torch.tensor(x, requires_grad=True)
    outputs, state = [], None
    for start in range(0, TIME, 2):
        part, state = peer(x_there[:, start : start + 2], state)
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        outputs.append(part)
    expected = torch.cat(outputs, dim=1)
    expected.backward(torch.from_numpy(dy))
    close(y, expected.detach().numpy())
    close(dx, x_there.grad.numpy())
    assert_trees_are_close(gradients, gradients_of(peer, params))


def test_a_simple_rnn_with_relu():
    layer = SimpleRNN(UNITS, activation="relu")
    params, x, dy = draw(layer)
    y, dx, gradients = run(get_backend("numpy"), layer, params, x, dy)
    peer, x_there = peer_of(SimpleRNN, params), torch.tensor(x, requires_grad=True)
    peer.mode, peer.nonlinearity = "RNN_RELU", "relu"
    expected = last_states(peer(x_there)[1])
    expected.backward(torch.from_numpy(dy))
    close(y, expected.detach().numpy())
    close(dx, x_there.grad.numpy())
    assert_trees_are_close(gradients, gradients_of(peer, params))


def test_embedding(backend):
    layer = Embedding(6, 3)
    generator = np.random.default_rng(0)
    params, _ = layer.init(generator, (4,))
    ids = np.array([[0, 5, 5, 1], [5, 2, 0, 0]])
    dy = generator.normal(size=(2, 4, 3))
    y, dx, gradients = run(backend, layer, params, ids.astype(np.float64), dy)
    peer = torch.nn.Embedding(6, 3).double()
    with torch.no_grad():
        peer.weight.copy_(torch.from_numpy(params["W"]))
    expected = peer(torch.from_numpy(ids))
    expected.backward(torch.from_numpy(dy))
    np.testing.assert_array_equal(y, expected.detach().numpy())
    close(gradients["W"], peer.weight.grad.numpy())
    np.testing.assert_array_equal(dx, np.zeros((2, 4)))
