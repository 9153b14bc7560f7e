"""Estimators in files: a loaded estimator continues as if it had stayed in memory."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import NotFittedError

from backends import Backend
from multinn import (
    CheckpointError,
    CSVLogger,
    DamagedCheckpointError,
    DescriptionError,
    Focal,
    ForeignFileError,
    InvalidCheckpointError,
    NewerCheckpointError,
    SaveCheckpoint,
    Tanh,
    Trainer,
)
from multinn.descriptions.hyperparameters import Hyperparameters
from multinn.descriptions.names import named, registered_classes
from multinn.layers.base import ParameterFree
from multinn.sklearn import MLPClassifier, MLPRegressor
from multinn.sklearn.losses import REGRESSION_LOSSES
from multinn.sklearn.network import CategoryEmbedding, PenalizedDense
from multinn.sklearn.optimizers import MomentumDescent, ScaledAdam
from tests.support.estimator_runs import BINARY, NUMBERS, TARGETS, X, Y, assert_same_estimators
from tests.support.forgeries import resealed
from tests.support.helpers import run_python

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL: dict[str, Any] = {"hidden_layer_sizes": (5,), "batch_size": 25, "random_state": 0}
RUNS = {
    "adam": (MLPClassifier, BINARY, {"dropout": 0.2, "batch_norm": True}),
    "sgd": (MLPClassifier, Y, {"solver": "sgd", "learning_rate": "invscaling", "momentum": 0.5}),
    "adaptive": (
        MLPClassifier,
        Y,
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
    ),
    "regressor": (MLPRegressor, NUMBERS, {"activation": Tanh(), "layer_norm": True, "loss": "huber"}),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("run", RUNS)
def test_a_fit_continues_as_if_it_had_stayed_in_memory(path, run):
    kind, y, settings = RUNS[run]
    whole = kind(**SMALL | settings, max_iter=6).fit(X, y)
    kind(**SMALL | settings, max_iter=3, warm_start=True).fit(X, y).save(path)
    assert_same_estimators(
        kind.load(path).fit(X, y).set_params(max_iter=6), with_epochs_of_the_last_fit(whole)
    )


def with_epochs_of_the_last_fit(model: Any) -> Any:
    """Return the model with ``n_iter_`` as after a second fit of three epochs."""
    model.n_iter_ -= 3
    return model


@pytest.mark.parametrize("run", RUNS)
def test_partial_fit_continues_as_if_it_had_stayed_in_memory(path, run):
    kind, y, settings = RUNS[run]
    classes = {"classes": np.unique(y)} if kind is MLPClassifier else {}
    whole = kind(**SMALL | settings, early_stopping=True)
    for epoch in range(6):
        whole.partial_fit(X, y, **classes)
        if epoch == 2:
            whole.save(path)
    loaded = kind.load(path)
    for _ in range(3):
        loaded.partial_fit(X, y)
    assert_same_estimators(loaded, whole)


def test_a_fit_that_was_saved_halfway_continues(path):
    """With early stopping, the best state of the earlier epochs is restored at the end."""
    settings = SMALL | {"learning_rate_init": 0.1, "early_stopping": True, "n_iter_no_change": 99}

    def save(model: Any) -> None:
        if model.n_iter_ == 5:
            model.save(path)

    whole = MLPClassifier(**settings, max_iter=9, callbacks=save).fit(X, Y)
    loaded = MLPClassifier.load(path, callbacks=()).set_params(warm_start=True, max_iter=4)
    whole.n_iter_ -= 5
    assert_same_estimators(loaded.fit(X, Y), whole)


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_it_continues_to_the_bit_on_the_same_backend(path, name):
    pytest.importorskip(name)
    model = MLPClassifier(**SMALL, max_iter=2, warm_start=True, backend=name).fit(X, Y)
    model.save(path)
    assert_same_estimators(MLPClassifier.load(path, name).fit(X, Y), model.fit(X, Y))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_classifier_keeps_its_classes(path, target, dtype):
    model = MLPClassifier(**SMALL, max_iter=2).fit(X.astype(dtype), TARGETS[target])
    model.save(path)
    loaded = MLPClassifier.load(path)
    assert_same_estimators(loaded, model)
    inputs = X.astype(dtype)
    np.testing.assert_array_equal(loaded.predict(inputs), model.predict(inputs))
    np.testing.assert_array_equal(loaded.predict_proba(inputs), model.predict_proba(inputs))
    assert loaded.predict(inputs).dtype == model.predict(inputs).dtype


def test_sparse_labels_stay_sparse(path):
    model = MLPClassifier(**SMALL, max_iter=2).fit(X, scipy.sparse.csr_matrix(TARGETS["labels"]))
    model.save(path)
    np.testing.assert_array_equal(
        MLPClassifier.load(path).predict(X).toarray(), model.predict(X).toarray()
    )


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_regressor_of_lbfgs_and_feature_names_are_saved(path, early_stopping):
    model = MLPRegressor("poisson", (5,), solver="lbfgs", early_stopping=early_stopping, max_iter=5)
    model.fit(X, np.abs(NUMBERS))
    model.feature_names_in_ = np.array(["a", "b", "c", "δ"], dtype=object)
    model.save(path)
    loaded = MLPRegressor.load(path)
    assert_same_estimators(loaded, model)
    with pytest.warns(UserWarning, match="feature names"):
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_parameters_are_restored(path):
    parameters = {
        "hidden_layer_sizes": (np.int64(6), 5),
        "activation": ("gelu", Tanh()),
        "dropout": (0.0, np.float32(0.25)),
        "loss": Focal(3.0),
        "class_weight": {np.str_("no"): 2, "yes": 0.5},
        "n_iter_no_change": np.inf,
        "random_state": np.random.RandomState(5),
        "learning_rate_init": np.float64(0.01),
        "max_iter": 2,
    }
    model = MLPClassifier(**parameters).fit(X, BINARY)
    model.save(path)
    loaded = MLPClassifier.load(path)
    expected = model.get_params()
    for name, value in loaded.get_params().items():
        if name != "random_state":
            assert value == expected[name], name
    assert loaded.random_state.randint(1000) == model.random_state.randint(1000)
    assert_same_estimators(loaded.fit(X, BINARY), model.fit(X, BINARY))


class Linear(MLPRegressor):
    """A class of a user, who chooses all parameters but one."""

    def __init__(self, alpha: float = 0.1) -> None:
        super().__init__("huber", (), "identity", alpha=alpha, max_iter=2, warm_start=True)


def test_a_class_of_a_user_with_other_parameters_is_restored(path):
    model = Linear(alpha=0.5).fit(X, NUMBERS)
    model.save(path)
    loaded = Linear.load(path)
    assert loaded.get_params() == {"alpha": 0.5}
    assert_same_estimators(loaded.fit(X, NUMBERS), model.fit(X, NUMBERS))


def test_an_unused_random_state_is_restored(path):
    model = MLPClassifier(**SMALL, max_iter=1).fit(X, Y)
    model.set_params(random_state=np.random.RandomState(5)).save(path)
    loaded = MLPClassifier.load(path)
    assert loaded.random_state.randint(1000) == np.random.RandomState(5).randint(1000)


def test_lists_and_arrays_become_tuples(path):
    MLPClassifier(np.array([6, 5]), ["tanh", "relu"], max_iter=1).fit(X, Y).save(path)
    loaded = MLPClassifier.load(path)
    assert (loaded.hidden_layer_sizes, loaded.activation) == ((6, 5), ("tanh", "relu"))


def test_parameters_that_have_changed_since_the_fit_are_saved(path):
    model = MLPClassifier(**SMALL, solver="sgd", max_iter=2, warm_start=True).fit(X, Y)
    model.set_params(learning_rate_init=0.3, alpha=1.0)
    model.save(path)
    assert_same_estimators(MLPClassifier.load(path).fit(X, Y), model.fit(X, Y))
    model.set_params(hidden_layer_sizes=(6,)).save(path)
    np.testing.assert_array_equal(MLPClassifier.load(path).predict_proba(X), model.predict_proba(X))


def test_it_continues_in_another_process(path):
    model = MLPClassifier(**SMALL, max_iter=2, warm_start=True).fit(X, Y)
    model.save(path)
    result = run_python(
        "import warnings\n"
        "from multinn.sklearn import MLPClassifier\n"
        "from tests.support.estimator_runs import X, Y\n"
        "warnings.simplefilter('ignore')\n"
        f"MLPClassifier.load({str(path)!r}, 'numpy').fit(X, Y).save({str(path)!r})\n"
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert_same_estimators(MLPClassifier.load(path), model.fit(X, Y))


def test_callbacks_and_the_backend_are_passed_to_load(path):
    def callback(model: Any) -> None:
        """Do nothing."""

    MLPClassifier(**SMALL, max_iter=1, callbacks=callback, backend="numpy:eager").fit(X, Y).save(path)
    with pytest.warns(UserWarning, match="had callbacks, which a file cannot hold"):
        loaded = MLPClassifier.load(path)
    assert (loaded.callbacks, loaded.backend) == (None, None)
    loaded = MLPClassifier.load(path, "numpy:eager", [callback])
    assert (loaded.callbacks, loaded.backend) == ([callback], "numpy:eager")
    assert isinstance(loaded.trainer_.backend, Backend)
    assert MLPClassifier.load(path, callbacks=()).callbacks == ()


def test_a_callback_saves_the_estimator(path):
    settings = SMALL | {"max_iter": 3, "warm_start": True}
    model = MLPClassifier(**settings, callbacks=[SaveCheckpoint(path)]).fit(X, Y)
    assert_same_estimators(MLPClassifier.load(path, callbacks=()), model)
    model.trainer_.save(path)
    assert isinstance(Trainer.load(path).model.layers[0], PenalizedDense)
    assert type(type(model.trainer_).load(path)) is type(model.trainer_)


def test_the_last_checkpoint_of_a_fit_is_the_fitted_estimator(path):
    settings = SMALL | {
        "learning_rate_init": 0.1,
        "early_stopping": True,
        "callbacks": SaveCheckpoint(path),
    }
    model = MLPClassifier(**settings, n_iter_no_change=3).fit(X, Y)
    assert model.validation_scores_[-1] < model.best_validation_score_
    assert_same_estimators(MLPClassifier.load(path, callbacks=()), model)


@dataclass(frozen=True)
class Unregistered(ParameterFree):
    def forward(self, backend, params, x, key=None):
        return x, None

    def backward(self, backend, params, cache, dy):
        return dy, {}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": Unregistered()}, "Unregistered is not registered.*multinn.register"),
        ({"random_state": np.random.RandomState(np.random.PCG64(0))}, "random_state.*MT19937"),
        ({"class_weight": {1: 1 + 0j}}, r"class_weight\[1\]: a checkpoint holds numbers"),
    ],
)
def test_values_that_cannot_be_described_raise(path, parameters, message):
    path.write_bytes(b"before")
    model = MLPClassifier(**SMALL, max_iter=1).fit(X, Y)
    model.set_params(**parameters)
    with pytest.raises(DescriptionError, match=message):
        model.save(path)
    assert path.read_bytes() == b"before"


def test_an_unfitted_estimator_cannot_be_saved(path):
    with pytest.raises(NotFittedError, match="MLPClassifier"):
        MLPClassifier().save(path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    MLPClassifier(**SMALL, max_iter=2, early_stopping=True).fit(X, Y).save(path)
    return path.read_bytes()


def test_damaged_foreign_and_newer_files_raise(path, saved):
    newer = resealed(saved, lambda content, _: content.update(format=2))
    changed = saved[:-9] + bytes([saved[-9] ^ 1]) + saved[-8:]
    wrong = [
        (saved[: len(saved) // 2], DamagedCheckpointError),
        (changed, DamagedCheckpointError),
        (b"", DamagedCheckpointError),
        (b"something else, and long enough", ForeignFileError),
        (newer, NewerCheckpointError),
    ]
    for data, error in wrong:
        path.write_bytes(data)
        with pytest.raises(error):
            MLPClassifier.load(path)


def test_checkpoints_of_another_class_raise(path, saved):
    path.write_bytes(saved)
    for load in (Trainer.load, Trainer.load_state, MLPRegressor.load):
        arguments = [trainer()] if load is Trainer.load_state else []
        with pytest.raises(InvalidCheckpointError, match=r"got one of MLPClassifier: load it with"):
            load(*arguments, path)
    trainer().save(path)
    with pytest.raises(InvalidCheckpointError, match=r"of MLPClassifier, got one of Trainer: load it"):
        MLPClassifier.load(path)


def trainer() -> Trainer:
    model = MLPClassifier(**SMALL, max_iter=1).fit(X, Y)
    plain = model.trainer_.program
    trainer = Trainer(plain.model, plain.loss, dtype="float64")
    trainer.initialize((4,))
    return trainer


FORGED = {
    "a parameter": lambda owner: owner["parameters"].update(layers=3),
    "parameters": lambda owner: owner.update(parameters=[1]),
    "a value": lambda owner: owner["parameters"].update(alpha={"import": "os"}),
    "a class": lambda owner: owner["parameters"].update(activation={"class": "os.system"}),
    "a random state": lambda owner: owner["learned"].update(
        _split_random_state={"random_state": [[0] * 624, 625, 0, 0.0]}
    ),
    "a name": lambda owner: owner["learned"].update(__class__="int"),
    "a type": lambda owner: owner["learned"].update(t_="many"),
    "an activation": lambda owner: owner["learned"].update(out_activation_="identity"),
    "less": lambda owner: owner["learned"].pop("t_"),
    "nothing": lambda owner: owner.pop("learned"),
    "improvement": lambda owner: owner.update(improvement=3),
    "feature names": lambda owner: owner.update(feature_names=["a"]),
    "fewer classes": lambda owner: owner["targets"].update(classes=[0, 1]),
    "the same classes": lambda owner: owner["targets"].update(classes=[0, 0, 1]),
    "other classes": lambda owner: owner["targets"].update(classes=["a"] * 3),
    "other dtype": lambda owner: owner["targets"].update(dtype="O"),
    "other labels": lambda owner: owner["targets"].update(multilabel=True),
    "no targets": lambda owner: owner.pop("targets"),
}


@pytest.mark.parametrize("change", FORGED)
def test_invalid_contents_raise(path, saved, change):
    path.write_bytes(resealed(saved, lambda content, _: FORGED[change](content["owner"])))
    with pytest.raises(InvalidCheckpointError):
        MLPClassifier.load(path)


def test_a_best_state_that_does_not_fit_raises(path, saved):
    path.write_bytes(resealed(saved, lambda _, tensors: tensors.pop("best.params.0.W")))
    with pytest.raises(CheckpointError, match=r"'params\.0\.W' is missing"):
        MLPClassifier.load(path)


def test_parameters_that_a_file_lacks_have_their_defaults(path, saved):
    path.write_bytes(resealed(saved, lambda content, _: content["owner"]["parameters"].pop("dropout")))
    assert MLPClassifier.load(path).dropout == 0.0


OWN: list[Hyperparameters] = [
    PenalizedDense(3),
    CategoryEmbedding(5, 2),
    MomentumDescent(0.1, 0.9, True),
    ScaledAdam(),
    *REGRESSION_LOSSES.values(),
]


@pytest.mark.parametrize("instance", OWN, ids=lambda each: repr(each)[:30])
def test_own_classes_are_described(instance):
    assert type(instance).from_dict(instance.to_dict()) == instance
    assert instance.to_dict()["class"].startswith("sklearn.")


def test_own_classes_are_registered_with_their_package():
    names = {name for name, _ in registered_classes() if name.startswith("sklearn.")}
    assert {f"sklearn.{type(each).__name__}" for each in OWN} <= names
    with pytest.raises(DescriptionError, match=r"import multinn\.sklearn first"):
        named("sklearn.Unknown")


def test_a_log_continues_after_loading(path, tmp_path):
    log = CSVLogger(tmp_path / "log.csv")
    settings = SMALL | {"max_iter": 2, "warm_start": True}
    MLPClassifier(**settings, callbacks=log).fit(X, Y).save(path)
    MLPClassifier.load(path, callbacks=log).fit(X, Y)
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["epoch", "1", "2", "3", "4"]
