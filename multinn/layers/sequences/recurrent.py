"""The base class of recurrent layers, with backpropagation through time."""

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from backends import Array, Backend, Shape, Tree, tree
from multinn.descriptions.bounds import check_integers
from multinn.initializers import Glorot, Initializer, Orthogonal, Zeros
from multinn.layers.base import Layer, Masked, as_matrix, check_axes, mask_of, values_of, with_mask
from multinn.layers.masked import expand_mask, zero_padding
from multinn.random import Key


class _Cache(NamedTuple):
    """Arrays of a forward pass, (time, batch, ...), in the order of the steps.

    Attributes:
        X: the inputs.
        states: the states after each step.
        saved: the other arrays that the steps saved.
        counts: (time, batch, 1) booleans, whether a step counts, or None.
    """

    X: Array
    states: tuple[Array, ...]
    saved: Tree
    counts: Array | None


@dataclass(frozen=True)
class Recurrent(Layer):
    """h_t = step(h_t-1, a_t, s_t), where a_t = x_t W + b and s_t = h_t-1 U: one layer for all steps.

    A subclass defines the step. h is the first part of the state, which may have more parts. The initial
    state is 0.
    Shapes: x (batch, time, inputs), h (batch, units), W (inputs, gates · units), U (units,
    gates · units), b (gates · units,); y is h after the last step (batch, units), or after each step
    (batch, time, units).

    Backpropagation through time: h_t reaches the loss through y_t and through step t + 1. dh_t is the
    total ∂L/∂h_t, from which a subclass derives da_t and ds_t. From the last step to the first,
        dh_t  = dy_t + ds_t+1 Uᵀ + (terms that step t + 1 passes back directly)
        dx_t  = da_t Wᵀ
        dW    = Σ_t x_tᵀ da_t      dU = Σ_t h_t-1ᵀ ds_t      db = Σ_t da_t, over the batch, too
    x_t W for all t, and each sum over t, are one matrix product.

    Masks: a step that does not count keeps the state, so dh_t passes through unchanged, and da_t = 0.
    Its x_t counts as zeros, so that infinite padding gives no NaN. Its y_t is the state before it, as in
    Keras: padding at the start gives zeros, and after padding at the end, y is h of the last step that
    counts.

    Truncation: with ``truncate`` = k, the gradient is cut between steps k - 1 and k, 2k - 1 and 2k, and
    so on, counted from 0 in the order of the steps, including padding. A cut sets dh_t, and the gradient
    of the rest of the state, to 0 before dy_t is added. So the gradient goes back over at most k steps.
    It is the exact gradient if the states at the cuts are taken as constants.
    Source: P. J. Werbos, Backpropagation through time: what it does and how to do it, Proceedings of
    the IEEE 78, 1990; R. J. Williams and J. Peng, An efficient gradient-based algorithm for on-line
    training of recurrent network trajectories, Neural Computation 2, 1990, for truncation.
    """

    units: int
    _: KW_ONLY
    return_sequences: bool = False
    go_backwards: bool = False
    truncate: int | None = None
    weight_initializer: Initializer = Glorot()
    recurrent_initializer: Initializer = Orthogonal()
    bias_initializer: Initializer = Zeros()

    takes_mask: ClassVar[bool] = True
    gates: ClassVar[int] = 1
    parts: ClassVar[int] = 1  # the number of arrays in a state

    def __post_init__(self) -> None:
        check_integers(self, "units")
        if self.truncate is not None:
            check_integers(self, "truncate")

    def init(self, generator: np.random.Generator, input_shape: Shape) -> tuple[Tree, Shape]:
        """Draw W, U and b. Each gate has its own draw of U, with the fans of one gate."""
        check_axes(self, input_shape, "sequences", "time", "features")
        time, inputs = input_shape
        units, width = self.units, self.gates * self.units
        W = self.weight_initializer(generator, (inputs, width), inputs, units)
        U = [
            self.recurrent_initializer(generator, (units, units), units, units)
            for _ in range(self.gates)
        ]
        b = self.bias_initializer(generator, (width,), inputs, units)
        params = {"W": W, "U": np.concatenate(U, axis=1), "b": b}
        return params, ((time, units) if self.return_sequences else (units,))

    def forward(
        self, backend: Backend, params: Tree, x: Array | Masked, key: Key | None = None
    ) -> tuple[Array | Masked, Tree]:
        """Return y, and the inputs, the states and other arrays of the steps."""
        xp = backend.xp
        mask = mask_of(x)
        values = zero_padding(backend, values_of(x), expand_mask(backend, mask, 3))
        X = self._time_first(xp, values)
        counts = None if mask is None else self._time_first(xp, mask[..., None])
        A = xp.reshape(as_matrix(backend, X) @ params["W"] + params["b"], (*X.shape[:2], -1))

        def step(state: Tree, at_step: Tree) -> tuple[Tree, Tree]:
            a, counts = at_step
            after, saved = self._step(backend, params, state, a)
            if counts is not None:
                after = tuple(xp.where(counts, new, old) for new, old in zip(after, state, strict=True))
            return after, (after, saved)

        start = xp.zeros((X.shape[1], self.units), dtype=X.dtype)
        last, (states, saved) = backend.scan(step, (start,) * self.parts, (A, counts))
        cache = _Cache(X, states, saved, counts)
        if not self.return_sequences:
            return last[0], cache
        return with_mask(self._batch_first(xp, states[0]), mask), cache

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Array, Tree]:
        """Return dx, with dx_t = da_t Wᵀ, and the gradients of W, U and b."""
        xp = backend.xp
        dA, gradients = self._backward_through_time(backend, params, cache, dy)
        dX = xp.reshape(as_matrix(backend, dA) @ params["W"].T, cache.X.shape)
        return self._batch_first(xp, xp.flip(dX, axis=0)), gradients

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return the gradients of W, U and b."""
        return self._backward_through_time(backend, params, cache, dy)[1]

    def _backward_through_time(
        self, backend: Backend, params: Tree, cache: _Cache, dy: Array
    ) -> tuple[Array, Tree]:
        """Return da of all steps, the last step first, and the gradients of W, U and b."""
        xp = backend.xp
        X, states, saved, counts = cache
        before = tuple(xp.concat([xp.zeros_like(s[:1, ...]), s[:-1, ...]], axis=0) for s in states)
        slopes = self._slopes(backend, before, states, saved)
        X, h, saved, counts, slopes = tree.map(
            lambda leaf: xp.flip(leaf, axis=0), (X, before[0], saved, counts, slopes)
        )
        if counts is not None:
            counts = xp.astype(counts, dy.dtype)
        steps = (slopes, counts, self._connected(xp, X))
        dA, dS = self._scan_back(backend, params["U"].T, steps, dy)
        dA_matrix = as_matrix(backend, dA)
        dS_matrix = dA_matrix if dS is None else as_matrix(backend, dS)
        gradients = {"W": as_matrix(backend, X).T @ dA_matrix, "b": xp.sum(dA_matrix, axis=0)}
        return dA, gradients | self._recurrent_gradients(backend, h, saved, dS_matrix)

    def _scan_back(
        self, backend: Backend, U_transposed: Array, steps: Tree, dy: Array
    ) -> tuple[Array, Array | None]:
        """Return da and ds of all steps, the last step first.

        Args:
            backend: the backend of the arrays.
            U_transposed: Uᵀ.
            steps: a tuple of three entries for all steps, the last step first: the factors from
                `_slopes`; 1 for a step that counts, else 0, or None; and the result of `_connected`.
            dy: the gradient with respect to the output.
        """
        xp = backend.xp

        def step_back(d_state: Tree, at_step: Tree) -> tuple[Tree, Tree]:
            dy, (slopes, counts, connected) = at_step
            if dy is not None:
                d_state = (d_state[0] + dy, *d_state[1:])
            active = d_state if counts is None else tuple(d * counts for d in d_state)
            d_before, da_and_ds = self._step_back(backend, U_transposed, active, slopes)
            if counts is not None:
                held = (d - own for d, own in zip(d_state, active, strict=True))
                d_before = tuple(d + own for d, own in zip(d_before, held, strict=True))
            if connected is not None:
                d_before = tuple(d * connected for d in d_before)
            return d_before, da_and_ds

        if self.return_sequences:
            dY, last = xp.flip(self._time_first(xp, dy), axis=0), xp.zeros_like(dy[:, 0, :])
        else:
            dY, last = None, dy
        d_state = (last, *[xp.zeros_like(last)] * (self.parts - 1))
        dA_and_dS: tuple[Array, Array | None] = backend.scan(step_back, d_state, (dY, steps))[1]
        return dA_and_dS

    @abstractmethod
    def _step(
        self, backend: Backend, params: Tree, state: tuple[Array, ...], a: Array
    ) -> tuple[tuple[Array, ...], Tree]:
        """Return the state after a step, and other arrays that the backward pass needs."""

    @abstractmethod
    def _slopes(
        self, backend: Backend, before: tuple[Array, ...], after: tuple[Array, ...], saved: Tree
    ) -> Tree:
        """Return the factors for `_step_back`, for all steps at once, each (time, batch, ...)."""

    @abstractmethod
    def _step_back(
        self, backend: Backend, U_transposed: Array, d_state: tuple[Array, ...], slopes: Tree
    ) -> tuple[tuple[Array, ...], tuple[Array, Array | None]]:
        """Return the gradient of the state before a step, and (da, ds); ds is None if it equals da.

        All are linear in ``d_state``, the gradient of the state after the step.
        """

    def _recurrent_gradients(
        self, backend: Backend, h: Array, saved: Tree, dS: Array
    ) -> dict[str, Array]:
        """Return the gradients of U and of other parameters of the products with U.

        Args:
            backend: the backend of the arrays.
            h: the first part of the state before each step (time, batch, units).
            saved: the arrays that the steps saved.
            dS: ds of all steps (time · batch, gates · units).
        """
        return {"U": as_matrix(backend, h).T @ dS}

    def _connected(self, xp: Any, X: Array) -> Array | None:
        """Return 0 for steps before which the gradient is cut, else 1, the last step first; or None."""
        if self.truncate is None:
            return None
        steps = xp.flip(xp.arange(X.shape[0], dtype=xp.int32))
        return xp.reshape(xp.astype(steps % self.truncate != 0, X.dtype), (-1, 1, 1))

    def _time_first(self, xp: Any, x: Array) -> Array:
        """Return (batch, time, ...) as (time, batch, ...) in the order of the steps."""
        return xp.permute_dims(xp.flip(x, axis=1) if self.go_backwards else x, (1, 0, 2))

    def _batch_first(self, xp: Any, x: Array) -> Array:
        """Invert `_time_first`."""
        x = xp.permute_dims(x, (1, 0, 2))
        return xp.flip(x, axis=1) if self.go_backwards else x
