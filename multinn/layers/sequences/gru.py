"""The gated recurrent unit."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn import functional
from multinn.layers.base import as_matrix
from multinn.layers.sequences.recurrent import Recurrent


@dataclass(frozen=True)
class GRU(Recurrent):
    """h_t = (1 - z) n + z h_t-1: an update gate z chooses between the past and a candidate n.

    r = σ(a_r + s_r), z = σ(a_z + s_z), n = tanh(a_n + r (s_n + c)), where [a_r a_z a_n] = x_t W + b and
    [s_r s_z s_n] = h_t-1 U: the columns of W, U and b belong to the reset gate r, the update gate z and
    the candidate n, in this order. c (units,) is a bias of s_n; biases of s_r and s_z would only add to
    b. `Recurrent` documents the shapes, masks, truncation, and the gradients of W, U and b.

    The reset gate is applied *after* the product with U, which then is one product per step.
    With σ' = σ (1 - σ), tanh' = 1 - tanh²:
        da_n = dh_t (1 - z) (1 - n²)
        ds_n = da_n r                             ∂L/∂c = Σ_t ds_n, over the batch, too
        da_r = ds_r = da_n (s_n + c) r (1 - r)
        da_z = ds_z = dh_t (h_t-1 - n) z (1 - z)
    and dh_t-1 gets dh_t z directly.

    With reset_after=False, it is applied *before* the product: n = tanh(a_n + q U_n) with q = r h_t-1,
    where [U_r U_z U_n] = U. There is no c, as it would only add to b. With da_n and da_z as above:
        dq   = da_n U_nᵀ                          ∂L/∂U_n = Σ_t qᵀ da_n
        da_r = ds_r = dq h_t-1 r (1 - r)
    and dh_t-1 gets dh_t z + dq r directly, and [ds_r ds_z] [U_r U_z]ᵀ.
    Source: K. Cho et al., Learning phrase representations using RNN encoder-decoder for statistical
    machine translation, EMNLP 2014, equations 5 to 8, which reset before the product; the reset after
    it is as in cuDNN. Equations and order are as in PyTorch, which splits b of r and z into two
    summands. Keras' GRU has z before r. ONNX' linear_before_reset=1 is reset_after=True.

    Attributes:
        units: the number of outputs, at least 1.
        return_sequences: whether y is h after each step, or only after the last.
        go_backwards: whether to start at the last time step. y_t still belongs to x_t.
        truncate: the largest number of steps over which the gradient goes back, or None for no limit.
        weight_initializer: draws W.
        recurrent_initializer: draws U.
        bias_initializer: draws b, and then c.
        reset_after: whether the reset gate is applied after the product with U, as in PyTorch and as by
            default in Keras; or before it, as by default in ONNX.

    Raises:
        ValueError: units or truncate is below 1.
    """

    _: KW_ONLY
    reset_after: bool = True

    gates: ClassVar[int] = 3

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W, U, b and, with reset_after, c."""
        params, shape = super().init(generator, input_shape)
        if self.reset_after:
            params["c"] = self.bias_initializer(generator, (self.units,), self.units, self.units)
        return params, shape

    def _step(
        self, backend: Backend, params: Tree, state: tuple[Array, ...], a: Array
    ) -> tuple[tuple[Array, ...], Tree]:
        (h,) = state
        split, U = 2 * self.units, params["U"]
        s = h @ (U if self.reset_after else U[:, :split])
        r_z = functional.sigmoid(backend, a[:, :split] + s[:, :split])
        r, z = self._r_and_z(r_z)
        if self.reset_after:
            s_n = s[:, split:] + params["c"]
            n = backend.xp.tanh(a[:, split:] + r * s_n)
        else:
            s_n = None
            n = backend.xp.tanh(a[:, split:] + (r * h) @ U[:, split:])
        return (n + z * (h - n),), (r_z, n, s_n)

    def _slopes(
        self, backend: Backend, before: tuple[Array, ...], after: tuple[Array, ...], saved: Tree
    ) -> Tree:
        """Return the factors of dh in da_n; of da_n, or of dq, in da_r; of dh in da_z; r and z."""
        (h_before,) = before
        r_z, n, s_n = saved
        r, z = self._r_and_z(r_z)
        of_r = (s_n if self.reset_after else h_before) * r * (1.0 - r)
        return ((1.0 - z) * (1.0 - n * n), of_r, (h_before - n) * z * (1.0 - z), r, z)

    def _step_back(
        self, backend: Backend, U_transposed: Array, d_state: tuple[Array, ...], slopes: Tree
    ) -> tuple[tuple[Array, ...], tuple[Array, Array | None]]:
        xp = backend.xp
        (dh,) = d_state
        of_n, of_r, of_z, r, z = slopes
        da_n, da_z = dh * of_n, dh * of_z
        if self.reset_after:
            da_r = da_n * of_r
            da = xp.concat([da_r, da_z, da_n], axis=1)
            ds = xp.concat([da_r, da_z, da_n * r], axis=1)
            return (dh * z + ds @ U_transposed,), (da, ds)
        split = 2 * self.units
        dq = da_n @ U_transposed[split:, :]
        ds_r_z = xp.concat([dq * of_r, da_z], axis=1)
        d_before = dh * z + dq * r + ds_r_z @ U_transposed[:split, :]
        return (d_before,), (xp.concat([ds_r_z, da_n], axis=1), None)

    def _recurrent_gradients(
        self, backend: Backend, h: Array, saved: Tree, dS: Array
    ) -> dict[str, Array]:
        split = 2 * self.units
        if self.reset_after:
            d_c = backend.xp.sum(dS[:, split:], axis=0)
            return super()._recurrent_gradients(backend, h, saved, dS) | {"c": d_c}
        q = self._r_and_z(saved[0])[0] * h
        products = (as_matrix(backend, h).T @ dS[:, :split], as_matrix(backend, q).T @ dS[:, split:])
        return {"U": backend.xp.concat(products, axis=1)}

    def _r_and_z(self, r_z: Array) -> tuple[Array, Array]:
        return r_z[..., : self.units], r_z[..., self.units :]
