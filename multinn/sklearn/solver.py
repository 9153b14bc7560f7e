"""The stochastic solvers, and the trainer that runs them."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from backends import Array, Backend, Tree, tree
from multinn.layers import Sequential
from multinn.losses import Loss
from multinn.optimizers import Adam, Optimizer
from multinn.optimizers.base import zeros
from multinn.sklearn.network import dense_places
from multinn.trainer import Trainer
from multinn.training import Examples, TrainingProgram, TrainingState, value_and_gradients


@dataclass(frozen=True)
class MomentumDescent(Optimizer):
    """v ← μ v - η g and θ ← θ + v; with Nesterov's momentum, θ ← θ + μ v - η g, with the new v.

    As in scikit-learn, the learning rate η is part of v. It is part of the state, too, where it can
    change between two fits without another program.
    Source: I. Sutskever et al., On the importance of initialization and momentum in deep learning,
    ICML 2013, section 2.
    """

    learning_rate: float
    momentum: float
    nesterov: bool

    def init(self, params: Tree) -> Tree:
        """Return η and v = 0."""
        dtypes = {leaf.dtype for leaf in tree.leaves(params)}
        return {"rate": np.full((1,), self.learning_rate, dtypes.pop()), "v": zeros(params)}

    def update(self, backend: Backend, gradients: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """Return the new parameters and state."""
        rate, momentum = state["rate"], self.momentum
        v = tree.map(lambda v, g: momentum * v - rate * g, state["v"], gradients)
        step = tree.map(lambda v, g: momentum * v - rate * g, v, gradients) if self.nesterov else v
        return tree.map(lambda p, s: p + s, params, step), {"rate": rate, "v": v}


def make_optimizer(estimator: Any) -> Optimizer:
    """Return the optimizer of an estimator's solver."""
    if estimator.solver == "sgd":
        nesterov = bool(estimator.nesterovs_momentum)
        return MomentumDescent(float(estimator.learning_rate_init), float(estimator.momentum), nesterov)
    return Adam(
        float(estimator.learning_rate_init),
        float(estimator.beta_1),
        float(estimator.beta_2),
        float(estimator.epsilon),
    )


class PenalizedProgram(TrainingProgram):
    """A program whose loss has the penalty of the dense layers, a / (2 n) Σ W², at each step."""

    def step(self, state: TrainingState, batch: Examples, words: Array) -> tuple[TrainingState, Tree]:
        """Take one step: the new state, and the record, whose loss is that which is minimized."""
        following, record = super().step(state, batch, words)
        xp = self.backend.xp
        half = 0.5 / batch.x.shape[0]
        loss = record["loss"]
        for place in dense_places(self.model):  # type: ignore[arg-type]
            W, strength = state.params[place]["W"], state.layer_state[place]["strength"]
            loss = loss + xp.reshape(strength, ()) * half * xp.sum(W * W)
        return following, record | {"loss": loss}

    def objective(self, params: Tree, examples: Examples) -> tuple[Array, Tree]:
        """Return the loss over all examples without the penalty, and its gradients."""
        examples = examples._replace(x=self._cast(examples.x))
        value, _, gradients = value_and_gradients(self.backend, self.model, self.loss, params, examples)
        return value, gradients


class PenalizedTrainer(Trainer):
    """A trainer of `PenalizedProgram`, which shares what is compiled with others of the same program."""

    program: PenalizedProgram

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        backend: str | Backend | None,
        dtype: str,
    ) -> None:
        super().__init__(model, loss, optimizer, backend=backend, dtype=dtype)
        self.program = PenalizedProgram(self.backend, model, loss, optimizer, {}, dtype)
        self._share()

    @property
    def places(self) -> list[int]:
        """The places of the dense layers in the model."""
        return dense_places(self.program.model)  # type: ignore[arg-type]

    def set_strength(self, strength: float) -> None:
        """Set a of all dense layers."""
        value = self._leaf(strength)
        layer_state = list(self.state.layer_state)
        for place in self.places:
            layer_state[place] = {"strength": value}
        self.state = self.state._replace(layer_state=tuple(layer_state))

    @property
    def rate(self) -> float:
        """The learning rate η of `MomentumDescent`."""
        return float(self.backend.to_numpy(self.state.optimizer_state["rate"])[0])

    @rate.setter
    def rate(self, rate: float) -> None:
        state = self.state.optimizer_state | {"rate": self._leaf(rate)}
        self.state = self.state._replace(optimizer_state=state)

    def dense_parameters(self, name: str) -> list[Any]:
        """Return W or b of each dense layer, as read-only NumPy arrays."""
        arrays = []
        for place in self.places:
            array = np.asarray(self.backend.to_numpy(self.params[place][name])).view()
            array.flags.writeable = False
            arrays.append(array)
        return arrays

    def set_dense_parameters(self, name: str, arrays: Any) -> None:
        """Replace W or b of each dense layer.

        Raises:
            ValueError: there are not as many arrays as layers, or one has another shape.
        """
        params = list(self.params)
        for place, array in zip(self.places, arrays, strict=True):
            expected = tuple(params[place][name].shape)
            given = np.array(array, self.dtype)
            if given.shape != expected:
                raise ValueError(f"expected an array of shape {expected}, got {given.shape}")
            with self.backend.precision(self.dtype):
                params[place] = params[place] | {name: self.backend.from_numpy(given)}
        self.state = self.state._replace(params=tuple(params))

    def snapshot(self) -> TrainingState:
        """Return the state as arrays of NumPy, which can be kept and sent to another process."""
        state: TrainingState = self.backend.to_numpy(self.state)
        return state

    def restore(self, state: TrainingState) -> None:
        """Take the state of a snapshot."""
        self.state = self._arrays(state)

    def take_over(self, other: "PenalizedTrainer") -> None:
        """Go on where another trainer is: with its optimizer's state if that is of the same kind.

        Raises:
            ValueError: its model has other parameters.
        """
        params = other.backend.to_numpy(other.params)
        self.initialize(other.input_shape, params, other.seed)
        optimizer_state = self.state.optimizer_state
        if type(self.program.optimizer) is type(other.program.optimizer):
            optimizer_state = self._arrays(other.backend.to_numpy(other.optimizer_state))
        layer_state = self._arrays(other.backend.to_numpy(other.state.layer_state))
        self.state = self.state._replace(layer_state=layer_state, optimizer_state=optimizer_state)
        self.epoch, self.step, self.history = other.epoch, other.step, other.history

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        super().__setstate__(attributes)
        self._share()

    def _leaf(self, value: float) -> Array:
        return self._arrays(np.full((1,), value, self.dtype))

    def _arrays(self, arrays: Tree) -> Tree:
        with self.backend.precision(self.dtype):
            return self.backend.from_numpy(arrays)

    def _share(self) -> None:
        program = self.program
        self.programs.share(
            _compiled(self.backend, program.model, program.loss, program.optimizer, self.dtype)
        )


@lru_cache(maxsize=64)
def _compiled(*program: Any) -> dict[Any, Any]:
    """Return where that program's compiled functions are: many fits, as of a grid search, share them."""
    return {}
