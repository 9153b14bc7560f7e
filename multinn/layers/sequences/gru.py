"""The gated recurrent unit."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn import functional
from multinn.layers.sequences.recurrent import Recurrent


@dataclass(frozen=True)
class GRU(Recurrent):
    """h_t = (1 - z) n + z h_t-1: an update gate z chooses between the past and a candidate n.

    r = σ(a_r + s_r), z = σ(a_z + s_z), n = tanh(a_n + r (s_n + c)), where [a_r a_z a_n] = x_t W + b and
    [s_r s_z s_n] = h_t-1 U: the columns of W, U and b belong to the reset gate r, the update gate z and
    the candidate n, in this order. c (units,) is a bias of s_n; biases of s_r and s_z would only add to
    b. `Recurrent` documents the shapes, masks, truncation, and the gradients of W, U and b.

    This variant applies the reset gate *after* the product with U, which then is one product per step.

    With σ' = σ (1 - σ), tanh' = 1 - tanh²:
        da_n = dh_t (1 - z) (1 - n²)
        ds_n = da_n r                             ∂L/∂c = Σ_t ds_n, over the batch, too
        da_r = ds_r = da_n (s_n + c) r (1 - r)
        da_z = ds_z = dh_t (h_t-1 - n) z (1 - z)
    and dh_t-1 gets dh_t z directly.
    Source: K. Cho et al., Learning phrase representations using RNN encoder-decoder for statistical
    machine translation, EMNLP 2014, equations 5 to 8, with the reset as in cuDNN. Equations and order
    are as in PyTorch, which splits b of r and z into two summands. Keras' GRU, with its default
    reset_after, has z before r.

    Attributes:
        units: the number of outputs, at least 1.
        return_sequences: whether y is h after each step, or only after the last.
        go_backwards: whether to start at the last time step. y_t still belongs to x_t.
        truncate: the largest number of steps over which the gradient goes back, or None for no limit.
        weight_initializer: draws W.
        recurrent_initializer: draws U.
        bias_initializer: draws b, and then c.

    Raises:
        ValueError: units or truncate is below 1.
    """

    gates: ClassVar[int] = 3

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W, U, b and c."""
        params, shape = super().init(generator, input_shape)
        params["c"] = self.bias_initializer(generator, (self.units,), self.units, self.units)
        return params, shape

    def _step(
        self, backend: Backend, params: Tree, state: tuple[Array, ...], a: Array
    ) -> tuple[tuple[Array, ...], Tree]:
        (h,) = state
        units = self.units
        s = h @ params["U"]
        r_z = functional.sigmoid(backend, a[:, : 2 * units] + s[:, : 2 * units])
        r, z = r_z[:, :units], r_z[:, units:]
        s_n = s[:, 2 * units :] + params["c"]
        n = backend.xp.tanh(a[:, 2 * units :] + r * s_n)
        return (n + z * (h - n),), (r_z, n, s_n)

    def _slopes(
        self, backend: Backend, before: tuple[Array, ...], after: tuple[Array, ...], saved: Tree
    ) -> Tree:
        (h_before,) = before
        r_z, n, s_n = saved
        r, z = r_z[..., : self.units], r_z[..., self.units :]
        return ((1.0 - z) * (1.0 - n * n), s_n * r * (1.0 - r), (h_before - n) * z * (1.0 - z), r, z)

    def _step_back(
        self, backend: Backend, U_transposed: Array, d_state: tuple[Array, ...], slopes: Tree
    ) -> tuple[tuple[Array, ...], tuple[Array, Array | None]]:
        xp = backend.xp
        (dh,) = d_state
        of_n, of_r, of_z, r, z = slopes
        da_n = dh * of_n
        da_r, da_z = da_n * of_r, dh * of_z
        da = xp.concat([da_r, da_z, da_n], axis=1)
        ds = xp.concat([da_r, da_z, da_n * r], axis=1)
        return (dh * z + ds @ U_transposed,), (da, ds)

    def _other_gradients(self, backend: Backend, dS: Array) -> dict[str, Array]:
        return {"c": backend.xp.sum(dS[:, 2 * self.units :], axis=0)}
