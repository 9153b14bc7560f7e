"""Traces that need each case of the formulas of losses, optimizers and recurrent layers."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from multinn import (
    GRU,
    LAMB,
    LARS,
    LSTM,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    AMSGrad,
    ClipByGlobalNorm,
    Dense,
    ExponentialMovingAverage,
    Freeze,
    Identity,
    Layer,
    Lion,
    Masking,
    MeanSquaredError,
    NAdam,
    Optimizer,
    RAdam,
    RMSProp,
    ScaledLearningRate,
    Sequential,
    Sigmoid,
    SimpleRNN,
    Trainer,
)
from multinn.optimizers import AccumulateGradients
from multinn.schedules import CosineDecay
from multinn.testing.gradient_cases import LOSSES, LossCase
from multinn.tracing import Trace
from tests.support.traced_models import Traced

OPTIMIZERS: dict[str, Optimizer] = {
    "momentum": SGD(0.1, momentum=0.9, weight_decay=0.1),
    "Nesterov's momentum": SGD(0.1, momentum=0.9, nesterov=True),
    "a schedule": Adam(CosineDecay(0.1, 10)),
    "AdamW": AdamW(0.01),
    "Adam without momentum": Adam(0.01, beta_1=0.0),
    "NAdam": NAdam(),
    "AMSGrad": AMSGrad(0.01, beta_2=0.5),
    "RAdam": RAdam(0.01, weight_decay=0.1),
    "LAMB": LAMB(0.01, weight_decay=0.1),
    "LARS": LARS(weight_decay=0.1),
    "LARS without weight decay": LARS(),
    "RMSProp": RMSProp(0.01),
    "Adagrad": Adagrad(),
    "Adadelta": Adadelta(weight_decay=0.1),
    "Lion": Lion(weight_decay=0.1),
    "clipped": ClipByGlobalNorm(Adam(0.01), 0.1),
    "not clipped": ClipByGlobalNorm(SGD(0.01), 100.0),
    "none frozen": Freeze(SGD(0.1), ()),
    "frozen": Freeze(SGD(0.1, weight_decay=0.1), ("*.b", "0.*")),
    "accumulated": AccumulateGradients(Adam(0.01), 2),
    "scaled": ScaledLearningRate(SGD(0.1, momentum=0.9)),
    "averaged": ExponentialMovingAverage(ClipByGlobalNorm(AdamW(0.01), 0.5)),
}


def trace_of_optimizer(name: str, dtype: str = "float64") -> Trace:
    """Return the trace of some steps with an optimizer of `OPTIMIZERS`."""
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(6, 3)), generator.normal(size=(6, 2))
    model = Sequential([Dense(4), Sigmoid(), Dense(2)])
    trainer = Trainer(model, MeanSquaredError(), OPTIMIZERS[name], backend="numpy", dtype=dtype)
    return trainer.trace(x, y, steps=7 if name == "RAdam" else 5, batch_size=3)  # RAdam changes at 6


LOSS_CASES: dict[str, LossCase] = {case.name: case for case in LOSSES if len(case.shape) > 1}


def trace_of_loss(name: str, dtype: str = "float64") -> Trace:
    """Return the trace of a step with a loss of `LOSS_CASES`."""
    case = LOSS_CASES[name]
    point = case.draw(0)
    targets = case.targets(np.random.default_rng(0), case.shape)
    masked = case.lengths is not None
    trainer = Trainer(Masking() if masked else Identity(), case.loss, backend="numpy", dtype=dtype)
    x = point.variables["outputs"]
    if masked:
        x = np.where(point.constants["mask"][..., None], x, 0.0)
    return trainer.trace(x, targets, weights=point.constants["weights"])


def _recurrent() -> Iterator[tuple[str, Traced]]:
    """Yield models with each way through time, and with sequences of no step that counts."""
    reset_before = partial(GRU, reset_after=False)
    kinds: tuple[Callable[..., Layer], ...] = (SimpleRNN, GRU, reset_before, LSTM)
    for kind in kinds:
        for sequences in (False, True):
            for backwards in (False, True):
                layer = kind(2, return_sequences=sequences, go_backwards=backwards, truncate=2)
                generator = np.random.default_rng(0)
                counts = np.arange(5) < np.array([0, 4, 5])[:, None]
                x = np.where(counts[..., None], generator.normal(size=(3, 5, 2)), 0.0)
                y = generator.normal(size=(3, 5, 2) if sequences else (3, 2))
                yield repr(layer), Traced(Sequential([Masking(), layer]), x, y)


RECURRENT_MODELS = dict(_recurrent())
