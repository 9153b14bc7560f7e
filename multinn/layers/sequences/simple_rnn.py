"""The simple recurrent layer."""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

from backends import Array, Backend, Tree
from multinn.layers.sequences.recurrent import Recurrent


@dataclass(frozen=True)
class SimpleRNN(Recurrent):
    """h_t = φ(a_t + s_t) with a_t = x_t W + b and s_t = h_t-1 U, where φ is tanh or ReLU.

    `Recurrent` has the shapes, and what is common: masks, truncation, the gradients of W, U and b from
    da_t and ds_t.

    As a and s enter as a sum, and tanh' = 1 - tanh²,
        da_t = ds_t = dh_t (1 - h_t²)      for tanh
        da_t = ds_t = dh_t where h_t > 0, else 0      for ReLU
    Source: J. L. Elman, Finding structure in time, Cognitive Science 14, 1990. The equations are those
    of PyTorch's RNN and Keras' SimpleRNN; PyTorch's b is the sum of two.

    Attributes:
        units: the number of outputs, at least 1.
        return_sequences: whether y is h after each step, or after the last alone.
        go_backwards: whether the first step is the last in time. y_t stays beside its x_t.
        truncate: over how many steps at most the gradient goes back, None for all of them.
        weight_initializer: draws W.
        recurrent_initializer: draws U.
        bias_initializer: draws b.
        activation: φ, "tanh" or "relu".

    Raises:
        ValueError: units or truncate are below 1, or the activation is something else.
    """

    _: KW_ONLY
    activation: Literal["tanh", "relu"] = "tanh"

    gates: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation not in ("tanh", "relu"):
            raise ValueError(f"SimpleRNN: expected activation 'tanh' or 'relu', got {self.activation!r}")

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
