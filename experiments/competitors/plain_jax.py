"""The models as functions of JAX, as its users write them, to be differentiated by `jax.grad`.

They take the parameters of the same models in multinn: trees with an entry for each layer.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from backends import Array, Tree

Forward = Callable[[Tree, Array], Array]
PlainLoss = Callable[[Array, Array], Array]


def convnet(params: Tree, x: Array, *, padding: str) -> Array:
    """Return the logits of `experiments.convnet.make_model`; padding is "SAME" or "VALID"."""
    import jax

    for layer in (params[0], params[3]):
        x = max_pool(jax.nn.relu(convolution(layer, x, padding=padding)))
    x = jax.nn.relu(dense(params[7], x.reshape(len(x), -1)))
    return dense(params[9], x)


def lstm(params: Tree, x: Array) -> Array:
    """Return the outputs of a dense layer on the last output of an LSTM."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    recurrent, output = params
    units = recurrent["U"].shape[0]

    def step(state: tuple[Array, Array], a: Array) -> tuple[tuple[Array, Array], None]:
        h, c = state
        i, f, g, o = jnp.split(a + h @ recurrent["U"], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), None

    zeros = jnp.zeros((len(x), units), x.dtype)
    # multiplying the inputs of all steps at once is faster than step by step
    inputs = jnp.swapaxes(x @ recurrent["W"] + recurrent["b"], 0, 1)
    (h, _), _ = lax.scan(step, (zeros, zeros), inputs)
    return dense(output, h)


def gru(params: Tree, x: Array) -> Array:
    """Return the outputs of a dense layer on the last output of a GRU, reset after the product."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    recurrent, output = params

    def step(h: Array, a: Array) -> tuple[Array, None]:
        a_r, a_z, a_n = jnp.split(a, 3, axis=-1)
        s_r, s_z, s_n = jnp.split(h @ recurrent["U"], 3, axis=-1)
        r, z = jax.nn.sigmoid(a_r + s_r), jax.nn.sigmoid(a_z + s_z)
        n = jnp.tanh(a_n + r * (s_n + recurrent["c"]))
        return (1.0 - z) * n + z * h, None

    zeros = jnp.zeros((len(x), recurrent["U"].shape[0]), x.dtype)
    h, _ = lax.scan(step, zeros, jnp.swapaxes(x @ recurrent["W"] + recurrent["b"], 0, 1))
    return dense(output, h)


def attention(params: Tree, x: Array, *, heads: int) -> Array:
    """Return the outputs of `experiments.sequence.models.attention`."""
    import jax

    h = dense(params[0], x)
    h = h + positional_encoding(h)
    h = transformer_block(params[2], h, heads=heads, causal=False, activation=jax.nn.relu)
    return dense(params[4], h.mean(1))


def language_model(params: Tree, ids: Array, *, heads: int) -> Array:
    """Return the logits of the language model."""
    import jax
    import jax.numpy as jnp

    embedding, positions, *blocks, normalization, output = params
    gelu = partial(jax.nn.gelu, approximate=False)
    h = embedding["W"][ids.astype(jnp.int32)] + positions["P"]
    for block in blocks:
        h = transformer_block(block, h, heads=heads, causal=True, activation=gelu)
    return dense(output, layer_norm(normalization, h))


def transformer_block(
    params: Tree, x: Array, *, heads: int, causal: bool, activation: Callable[[Array], Array]
) -> Array:
    """Return h + g(N(h)) where h = x + f(N(x)): f is attention, g two dense layers, N layer norm."""
    (_, (norm_1, heads_of, _)), (_, (norm_2, first, _, second, _)) = params
    x = x + multi_head_attention(heads_of, layer_norm(norm_1, x), heads=heads, causal=causal)
    return x + dense(second, activation(dense(first, layer_norm(norm_2, x))))


def multi_head_attention(params: Tree, x: Array, *, heads: int, causal: bool) -> Array:
    """Return the outputs of self-attention."""
    import jax
    import jax.numpy as jnp

    batch, time, features = x.shape
    q, k, v = (
        dense(params[name], x).reshape(batch, time, heads, -1) for name in ("query", "key", "value")
    )
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / jnp.sqrt(q.shape[-1]).astype(x.dtype)
    if causal:
        scores = jnp.where(jnp.tril(jnp.ones((time, time), bool)), scores, -jnp.inf)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)
    return dense(params["output"], mixed.reshape(batch, time, features))


def layer_norm(params: Tree, x: Array) -> Array:
    """Return normalized features, with a scale and a shift."""
    from jax import lax

    centered = x - x.mean(-1, keepdims=True)
    variance = (centered * centered).mean(-1, keepdims=True)
    return centered * lax.rsqrt(variance + 1e-5) * params["gamma"] + params["beta"]


def batch_norm(params: Tree, x: Array) -> Array:
    """Return features normalized over the batch, with a scale and a shift."""
    from jax import lax

    axes = tuple(range(x.ndim - 1))
    centered = x - x.mean(axes)
    variance = (centered * centered).mean(axes)
    return centered * lax.rsqrt(variance + 1e-5) * params["gamma"] + params["beta"]


def convolution(params: Tree, x: Array, *, padding: str) -> Array:
    """Return the convolution of images with W, plus b if there is one; padding is "SAME" or "VALID"."""
    from jax import lax

    layout = ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(x, params["W"], (1, 1), padding, dimension_numbers=layout)
    return y + params["b"] if "b" in params else y


def max_pool(x: Array) -> Array:
    """Return the maximum of each square of 2 x 2."""
    batch, height, width, channels = x.shape
    # faster, forward and back, than lax.reduce_window
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))


def positional_encoding(x: Array) -> Array:
    """Return the sinusoidal encoding, (time, features)."""
    import numpy as np

    _, time, features = x.shape
    angles = np.arange(time)[:, None] / 10_000.0 ** (np.arange(0, features, 2) / features)
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(time, -1)[:, :features]
    return waves.astype(x.dtype)


def dense(params: Tree, x: Array) -> Array:
    """Return x W + b, or x W if there is no b."""
    y = x @ params["W"]
    return y + params["b"] if "b" in params else y


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Return the mean cross-entropy."""
    import optax

    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def squared_error(outputs: Array, targets: Array) -> Array:
    """Return the mean squared error."""
    return ((outputs - targets) ** 2).mean()


class PlainTraining:
    """Training by `jax.value_and_grad` and optax's Adam; an epoch is one compiled `lax.scan`.

    Attributes:
        carry: the parameters and the optimizer's state, both donated to each call.
    """

    def __init__(
        self,
        forward: Forward,
        loss: PlainLoss,
        params: Tree,
        learning_rate: float,
        examples: tuple[Array, Array],
    ) -> None:
        """Prepare the training from those parameters."""
        import jax
        import jax.numpy as jnp
        import optax

        optimizer = optax.adam(learning_rate)
        own: Any = jax.tree.map(jnp.array, params)  # a copy, as it is donated
        self.carry = (own, optimizer.init(own))
        self._examples = jax.device_put(examples)
        self._epoch: Any = jax.jit(_epoch(forward, loss, optimizer), donate_argnums=0)

    def compile(self, rows: Array) -> None:
        """Compile for rows of that shape, (steps, batch)."""
        self._epoch = self._epoch.lower(self.carry, rows, *self._examples).compile()

    def train(self, rows: Array) -> Array:
        """Train for an epoch on these rows of the examples, and return the loss of each step."""
        import jax

        self.carry, losses = self._epoch(self.carry, rows, *self._examples)
        jax.block_until_ready(self.carry)  # type: ignore[no-untyped-call]
        return losses


def _epoch(forward: Forward, loss: PlainLoss, optimizer: Any) -> Callable[..., tuple[Tree, Array]]:
    import jax
    import optax
    from jax import lax

    def batch_loss(params: Tree, x: Array, y: Array) -> Array:
        return loss(forward(params, x), y)

    def epoch(carry: Tree, rows: Array, x: Array, y: Array) -> tuple[Tree, Array]:
        def step(carry: Tree, rows: Array) -> tuple[Tree, Array]:
            params, state = carry
            value, gradients = jax.value_and_grad(batch_loss)(params, x[rows], y[rows])
            updates, state = optimizer.update(gradients, state, params)
            return (optax.apply_updates(params, updates), state), value

        return lax.scan(step, carry, rows)

    return epoch
