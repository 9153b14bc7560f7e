"""A run that continues from a checkpoint equals an undisturbed run to the bit."""

import numpy as np
import pytest

from backends import tree
from multinn import (
    LAMB,
    LARS,
    SGD,
    AccumulateGradients,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    AMSGrad,
    BatchNorm,
    ClipByGlobalNorm,
    Dense,
    Dropout,
    ExponentialMovingAverage,
    Freeze,
    Lion,
    NAdam,
    Optimizer,
    RAdam,
    RMSProp,
    ScaledLearningRate,
    Sequential,
    Tanh,
    Trainer,
    optimizers,
    schedules,
)
from multinn.descriptions.names import registered_classes
from tests.support.helpers import run_python
from tests.support.small_runs import WEIGHTS, X, assert_same_bits, fit, host, make_trainer

MODEL = Sequential([Dense(4, use_bias=False), BatchNorm(), Tanh(), Dropout(0.3), Dense(2)])
COSINE = schedules.CosineDecay(0.1, 20, 4)
OPTIMIZERS: list[Optimizer] = [
    SGD(0.1),
    SGD(COSINE, momentum=0.9, nesterov=True),
    Adagrad(),
    RMSProp(),
    Adadelta(),
    Adam(COSINE),
    AdamW(),
    AMSGrad(),
    RAdam(),
    NAdam(),
    LAMB(),
    LARS(),
    Lion(),
    AccumulateGradients(Adam(COSINE), 4),
    ClipByGlobalNorm(SGD(momentum=0.9), 0.1),
    ExponentialMovingAverage(Adam(), 0.9),
    ScaledLearningRate(Adam()),
    Freeze(Adam(), ("0.*",)),
]
EVERYTHING = ExponentialMovingAverage(AccumulateGradients(ClipByGlobalNorm(Adam(COSINE), 1.0), 2), 0.9)


def assert_same(one: Trainer, other: Trainer) -> None:
    """Compare everything that training changes, and predictions."""
    assert_same_bits(one, other)
    layer_states = (trainer.backend.to_numpy(trainer.state.layer_state) for trainer in (one, other))
    tree.map(np.testing.assert_array_equal, *layer_states)
    assert list(one.history) == list(other.history)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


def trainer_of(backend, **keywords) -> Trainer:
    return make_trainer(backend, MODEL, seed=3, **keywords)


def test_every_optimizer_is_in_the_list():
    tried = {type(optimizer) for optimizer in OPTIMIZERS}
    known = [kind for _, kind in registered_classes() if issubclass(kind, Optimizer)]
    assert {kind for kind in known if kind.__module__.startswith(optimizers.__name__)} == tried


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda each: type(each).__name__)
def test_a_resumed_run_equals_an_undisturbed_one(tmp_path, optimizer, dtype):
    """Three epochs and three more, each with batches of 4, 4 and 2 examples."""
    keywords = {"optimizer": optimizer, "dtype": dtype}
    fit(trainer_of("numpy", **keywords), 3).save(tmp_path / "checkpoint")
    resumed = fit(Trainer.load(tmp_path / "checkpoint", "numpy"), 3)
    assert_same(resumed, fit(trainer_of("numpy", **keywords), 6))


def test_a_run_resumes_on_each_backend(tmp_path, backend):
    trainer = fit(trainer_of(backend, optimizer=EVERYTHING, dtype="float64"), 3)
    trainer.save(tmp_path / "checkpoint")
    resumed = fit(Trainer.load(tmp_path / "checkpoint", backend), 3)
    assert_same(resumed, fit(trainer, 3))


def test_a_run_resumes_in_another_process(tmp_path):
    trainer = fit(trainer_of("jax"), 3)
    trainer.save(tmp_path / "checkpoint")
    result = run_python(
        "from multinn import Trainer\n"
        "from tests.support.small_runs import fit\n"
        f"trainer = Trainer.load({str(tmp_path / 'checkpoint')!r}, 'jax')\n"
        f"fit(trainer, 3).save({str(tmp_path / 'later')!r})\n"
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert_same_bits(Trainer.load(tmp_path / "later", "jax"), fit(trainer, 3))


@pytest.mark.parametrize(
    "keywords", [{"weights": WEIGHTS}, {"shuffle": False}], ids=["weights", "order"]
)
def test_a_run_resumes_with_the_same_arguments_of_fit(tmp_path, keywords):
    fit(trainer_of("numpy"), 2, **keywords).save(tmp_path / "checkpoint")
    resumed = fit(Trainer.load(tmp_path / "checkpoint"), 2, **keywords)
    assert_same(resumed, fit(trainer_of("numpy"), 4, **keywords))


def test_saving_and_loading_often_changes_nothing(tmp_path):
    trainer = trainer_of("numpy")
    for _ in range(5):
        fit(trainer, 1).save(tmp_path / "checkpoint")
        trainer = Trainer.load(tmp_path / "checkpoint")
    assert_same(trainer, fit(trainer_of("numpy"), 5))


def test_saving_changes_nothing(tmp_path):
    trainer = fit(trainer_of("numpy"), 3)
    trainer.save(tmp_path / "checkpoint")
    assert_same(fit(trainer, 3), fit(trainer_of("numpy"), 6))


def test_given_parameters_in_another_memory_order_resume_the_same(tmp_path):
    """In batches of one, the last bits of a product depend on the order."""
    params = tree.map(np.asfortranarray, MODEL.init(np.random.default_rng(0), (3,))[0])
    first, second = trainer_of("numpy"), trainer_of("numpy")
    for trainer in (first, second):
        trainer.initialize((3,), params=params)
    first.save(tmp_path / "checkpoint")
    resumed = fit(Trainer.load(tmp_path / "checkpoint"), 1, batch_size=1)
    assert_same(resumed, fit(second, 1, batch_size=1))


@pytest.mark.parametrize(("first", "second"), [("numpy", "jax"), ("jax", "numpy")])
def test_a_run_resumes_on_another_backend_to_rounding(tmp_path, first, second):
    fit(trainer_of(first, dtype="float64"), 3).save(tmp_path / "checkpoint")
    resumed = fit(Trainer.load(tmp_path / "checkpoint", second), 3)
    assert resumed.backend.name == second
    undisturbed = fit(trainer_of("numpy", dtype="float64"), 6)
    tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12),
        host(resumed),
        host(undisturbed),
    )
    np.testing.assert_allclose(resumed.history.losses, undisturbed.history.losses, rtol=1e-10)


def test_the_environment_selects_the_backend_if_no_argument_does(tmp_path, monkeypatch):
    trainer = trainer_of("jax")
    trainer.initialize((3,))
    trainer.save(tmp_path / "checkpoint")
    assert Trainer.load(tmp_path / "checkpoint").backend.name == "numpy"
    monkeypatch.setenv("MULTINN_BACKEND", "jax")
    assert Trainer.load(tmp_path / "checkpoint").backend.name == "jax"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_state_is_loaded_on_each_backend(tmp_path, backend, dtype):
    trainer, other = (trainer_of(backend, dtype=dtype) for _ in range(2))
    trainer.initialize((3,))
    trainer.save(tmp_path / "checkpoint")
    other.load_state(tmp_path / "checkpoint")
    assert_same_bits(other, trainer)
    assert {str(leaf.dtype) for leaf in tree.leaves(host(other)[0])} == {dtype}
