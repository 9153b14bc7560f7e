"""The long short-term memory."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn import functional
from multinn.descriptions.bounds import check_finite
from multinn.layers.sequences.recurrent import Recurrent


@dataclass(frozen=True)
class LSTM(Recurrent):
    """c_t = f c_t-1 + i g and h_t = o tanh(c_t): a memory c with gates for its input and output.

    i = σ(z_i), f = σ(z_f), g = tanh(z_g), o = σ(z_o) with [z_i z_f z_g z_o] = a_t + s_t, a_t = x_t W + b
    and s_t = h_t-1 U: the columns of W, U and b belong to the input gate i, the forget gate f, the
    candidate g and the output gate o, in this order. `Recurrent` documents the shapes, masks,
    truncation, and the gradients of W, U and b.

    With dh_t, with dc_t = ∂L/∂c_t through step t + 1, and with σ' = σ (1 - σ), tanh' = 1 - tanh²:
        dc     = dc_t + dh_t o (1 - tanh²(c_t))      the total ∂L/∂c_t
        dz_i   = dc g i (1 - i)
        dz_f   = dc c_t-1 f (1 - f)
        dz_g   = dc i (1 - g²)
        dz_o   = dh_t tanh(c_t) o (1 - o)
        dc_t-1 = dc f
    and da_t = ds_t = [dz_i dz_f dz_g dz_o], as a and s enter as a sum.
    Source: S. Hochreiter and J. Schmidhuber, Long short-term memory, Neural Computation 9, 1997; with
    the forget gate of F. A. Gers, J. Schmidhuber and F. Cummins, Learning to forget, Neural Computation
    12, 2000. Equations and order are as in PyTorch and Keras; PyTorch splits b into two summands.

    Attributes:
        units: the number of outputs, at least 1.
        return_sequences: whether y is h after each step, or only after the last.
        go_backwards: whether to start at the last time step. y_t still belongs to x_t.
        truncate: the largest number of steps over which the gradient goes back, or None for no limit.
        weight_initializer: draws W.
        recurrent_initializer: draws U.
        bias_initializer: draws b.
        forget_bias: added to the initial b of the forget gate. With 1, as in Keras, the untrained layer
            keeps its memory (R. Jozefowicz, W. Zaremba and I. Sutskever, An empirical exploration of
            recurrent network architectures, ICML 2015, section 3).

    Raises:
        ValueError: units or truncate is below 1, or forget_bias is not finite.
    """

    _: KW_ONLY
    forget_bias: float = 1.0

    gates: ClassVar[int] = 4
    parts: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_finite(self, "forget_bias")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W, U and b, and add the forget_bias."""
        params, shape = super().init(generator, input_shape)
        params["b"][self.units : 2 * self.units] += self.forget_bias
        return params, shape

    def _step(
        self, backend: Backend, params: Tree, state: tuple[Array, ...], a: Array
    ) -> tuple[tuple[Array, ...], Tree]:
        h, c = state
        z = self._by_gate(backend, a) + h @ self._by_gate(backend, params["U"])
        i_and_f = functional.sigmoid(backend, z[:2, ...])
        i, f = i_and_f[0, ...], i_and_f[1, ...]
        g = backend.xp.tanh(z[2, ...])
        o = functional.sigmoid(backend, z[3, ...])
        c = f * c + i * g
        tanh_c = backend.xp.tanh(c)
        return (o * tanh_c, c), (i_and_f, g, o, tanh_c)

    def _slopes(
        self, backend: Backend, before: tuple[Array, ...], after: tuple[Array, ...], saved: Tree
    ) -> Tree:
        """Return the factors of dh in dc; of dc in dz_i, dz_f and dz_g; of dh in dz_o; and f."""
        _, c_before = before
        i_and_f, g, o, tanh_c = saved
        i, f = i_and_f[:, 0, ...], i_and_f[:, 1, ...]
        return (
            o * (1.0 - tanh_c * tanh_c),
            g * i * (1.0 - i),
            c_before * f * (1.0 - f),
            i * (1.0 - g * g),
            tanh_c * o * (1.0 - o),
            f,
        )

    def _step_back(
        self, backend: Backend, U_transposed: Array, d_state: tuple[Array, ...], slopes: Tree
    ) -> tuple[tuple[Array, ...], tuple[Array, Array | None]]:
        dh, dc = d_state
        of_c, of_i, of_f, of_g, of_o, f = slopes
        dc = dc + dh * of_c
        da = backend.xp.concat([dc * of_i, dc * of_f, dc * of_g, dh * of_o], axis=1)
        return (da @ U_transposed, dc * f), (da, None)

    def _by_gate(self, backend: Backend, x: Array) -> Array:
        """Return (rows, gates · units) as (gates, rows, units): the numbers of a gate are adjacent."""
        xp = backend.xp
        return xp.permute_dims(xp.reshape(x, (-1, self.gates, self.units)), (1, 0, 2))
