"""The simple recurrent layer."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

from backends import Array, Backend, Tree
from multinn.descriptions.bounds import check_choice
from multinn.layers.sequences.recurrent import Recurrent


@dataclass(frozen=True)
class SimpleRNN(Recurrent):
    """h_t = φ(a_t + s_t) with a_t = x_t W + b and s_t = h_t-1 U, where φ is tanh or ReLU.

    `Recurrent` documents the shapes, masks, truncation, and the gradients of W, U and b.

    As a and s enter as a sum, and tanh' = 1 - tanh²,
        da_t = ds_t = dh_t (1 - h_t²)      for tanh
        da_t = ds_t = dh_t where h_t > 0, else 0      for ReLU
    Source: J. L. Elman, Finding structure in time, Cognitive Science 14, 1990. The equations are as in
    PyTorch's RNN and Keras' SimpleRNN; PyTorch splits b into two summands.

    Attributes:
        units: the number of outputs, at least 1.
        return_sequences: whether y is h after each step, or only after the last.
        go_backwards: whether to start at the last time step. y_t still belongs to x_t.
        truncate: the largest number of steps over which the gradient goes back, or None for no limit.
        weight_initializer: draws W.
        recurrent_initializer: draws U.
        bias_initializer: draws b.
        activation: φ, "tanh" or "relu".

    Raises:
        ValueError: units or truncate is below 1, or activation is something else.
    """

    _: KW_ONLY
    activation: Literal["tanh", "relu"] = "tanh"

    gates: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "activation", "tanh", "relu")

    def _step(
        self, backend: Backend, params: Tree, state: tuple[Array, ...], a: Array
    ) -> tuple[tuple[Array, ...], Tree]:
        (h,) = state
        z = a + h @ params["U"]
        return (backend.xp.tanh(z) if self.activation == "tanh" else backend.xp.maximum(z, 0.0),), None

    def _slopes(
        self, backend: Backend, before: tuple[Array, ...], after: tuple[Array, ...], saved: Tree
    ) -> Tree:
        (h,) = after
        return 1.0 - h * h if self.activation == "tanh" else backend.xp.astype(h > 0.0, h.dtype)

    def _step_back(
        self, backend: Backend, U_transposed: Array, d_state: tuple[Array, ...], slopes: Tree
    ) -> tuple[tuple[Array, ...], tuple[Array, Array | None]]:
        (dh,) = d_state
        da = dh * slopes
        return (da @ U_transposed,), (da, None)
