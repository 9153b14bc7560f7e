"""Checkpoints and pickles of earlier versions still load, and give the same results."""

import json
import pickle
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import tree
from multinn import (
    LAMB,
    SGD,
    AccumulateGradients,
    Adam,
    ClipByGlobalNorm,
    Dense,
    EarlyStopping,
    MeanSquaredError,
    NAdam,
    ReduceLearningRateOnPlateau,
    ScaledLearningRate,
    Trainer,
)
from multinn.sklearn import MLPClassifier, MLPRegressor
from multinn.sklearn.optimizers import ScaledAdam
from multinn.training.checkpoints import with_current_entries
from multinn.training.checkpoints.state import matching_state, named_arrays
from multinn.training.program import TrainingState

FOLDER = Path(__file__).with_name("written_before")
EXPECTED = json.loads((FOLDER / "expected.json").read_text())

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(30, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def unpickled(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Trying to unpickle estimator")  # of another scikit-learn
        return pickle.loads((FOLDER / f"{name}.pickle").read_bytes())


@pytest.mark.parametrize("how", ["checkpoint", "pickle"])
def test_a_trainer_continues_its_run(how):
    file = FOLDER / "trainer.safetensors"
    trainer = Trainer.load(file, "numpy") if how == "checkpoint" else unpickled("trainer")
    np.testing.assert_allclose(trainer.predict(X), EXPECTED["predictions"], rtol=1e-5)
    assert trainer.epoch == 3
    more = trainer.fit(X, Y, epochs=2, batch_size=8, progress=False)
    np.testing.assert_allclose(more.losses, EXPECTED["resumed_losses"], rtol=1e-5)


@pytest.mark.parametrize("how", ["checkpoint", "pickle"])
def test_a_classifier_predicts_as_before(how):
    file = FOLDER / "classifier.safetensors"
    classifier = MLPClassifier.load(file) if how == "checkpoint" else unpickled("classifier")
    np.testing.assert_allclose(classifier.predict_proba(X), EXPECTED["probabilities"], rtol=1e-5)
    classifier.set_params(callbacks=None).partial_fit(X, Y)


@pytest.mark.parametrize("how", ["checkpoint", "pickle"])
def test_a_classifier_trains_on_from_its_best_epoch(how):
    file = FOLDER / "classifier.safetensors"
    classifier = MLPClassifier.load(file) if how == "checkpoint" else unpickled("classifier")
    classifier.set_params(callbacks=None, tol=10.0, n_iter_no_change=1)  # no later epoch is the best
    while not classifier.converged_:
        classifier.partial_fit(X, Y)
    assert classifier.trainer_.optimizer_state.keys() == {"step", "m", "s", "learning_rate_scale"}
    classifier.partial_fit(X, Y)


def test_entries_of_other_optimizers_keep_their_names():
    state = {"step": 0, "v": 1, "optimizer": {"squares": 2}}
    assert with_current_entries(SGD(), state) == state


@pytest.mark.parametrize("optimizer", [Adam(), NAdam(beta_2=0.9), LAMB(), ScaledAdam()], ids=str)
def test_sums_of_squares_become_means(optimizer):
    """Adam's s was once a sum of squares v, in files and in pickles, also inside other optimizers."""
    params = {"W": np.ones(2, np.float32)}
    wrapped = AccumulateGradients(ClipByGlobalNorm(optimizer, 1.0), 2)
    current = wrapped.init(params)
    current["optimizer"]["s"] = {"W": np.array([3.0, 0.5], np.float32)}
    former = {**current, "optimizer": dict(current["optimizer"])}
    sums = former["optimizer"].pop("s")["W"] / np.float32(1.0 - optimizer.beta_2)
    former["optimizer"]["v"] = {"W": sums}
    state = TrainingState(params, (), current)
    of_file = named_arrays(state._replace(optimizer_state=former))
    loaded = matching_state(state, of_file, wrapped).optimizer_state
    for result in (loaded, with_current_entries(wrapped, former)):
        assert tree.map(lambda leaf: leaf.dtype, result) == tree.map(lambda leaf: leaf.dtype, current)
        tree.map(partial(np.testing.assert_allclose, rtol=1e-6), result, current)


def test_a_file_with_a_former_and_a_current_name_is_refused():
    state = TrainingState({"W": np.ones(2)}, {"m": {"W": np.ones(2)}}, None)
    tensors = {**named_arrays(state), "optimizer_state.gradients.W": np.ones(2)}
    with pytest.raises(ValueError, match=r"the tensor 'optimizer_state\.gradients\.W' is not part of"):
        matching_state(state, tensors, Adam())


@pytest.mark.parametrize("how", ["checkpoint", "pickle"])
def test_a_regressor_predicts_as_before(how):
    file = FOLDER / "regressor.safetensors"
    regressor = MLPRegressor.load(file) if how == "checkpoint" else unpickled("regressor")
    np.testing.assert_allclose(regressor.predict(X), EXPECTED["numbers"], rtol=1e-5)
    regressor.partial_fit(X, X[:, 0] ** 2)


def test_each_layer_loss_optimizer_metric_and_callback_can_be_unpickled():
    parts = unpickled("parts")
    assert len(parts) == 175
    assert all(type(part).__module__ != "builtins" for part in parts if not callable(part))


def test_callbacks_that_were_pickled_still_work():
    callbacks = [part for part in unpickled("parts") if isinstance(part, EarlyStopping)]
    callbacks += [part for part in unpickled("parts") if isinstance(part, ReduceLearningRateOnPlateau)]
    assert len(callbacks) == 2
    trainer = Trainer(Dense(1), MeanSquaredError(), ScaledLearningRate(SGD()), backend="numpy")
    trainer.fit(X, X[:, :1], epochs=3, callbacks=callbacks, progress=False)
    assert trainer.epoch == 3
