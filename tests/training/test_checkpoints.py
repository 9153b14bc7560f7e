"""Checkpoint files: their content, and errors for damaged, invalid and foreign files."""

import hashlib
import json
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import example, given
from hypothesis import strategies as st

from multinn import (
    SGD,
    Accuracy,
    Adam,
    CheckpointError,
    DamagedCheckpointError,
    Dense,
    DescriptionError,
    ForeignFileError,
    Huber,
    InvalidCheckpointError,
    MeanSquaredError,
    NewerCheckpointError,
    NotInitializedError,
    Sequential,
    Trainer,
    accuracy,
)
from multinn.training.checkpoints import file as file_module
from tests.support.forgeries import content_of, resealed
from tests.support.helpers import run_python
from tests.support.memory import peak_memory
from tests.support.own_parts import Doubled, halved, unnamed
from tests.support.small_runs import MODEL, PLAIN, X, Y, assert_same_bits, fit, make_trainer

METRICS = {"halved": halved, "huber": Huber(0.5).value}
ERRORS = {DamagedCheckpointError, ForeignFileError, InvalidCheckpointError, NewerCheckpointError}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


@cache
def saved_bytes(folder: str) -> bytes:
    """Return a checkpoint after two epochs."""
    path = os.path.join(folder, "saved")
    fit(make_trainer(metrics=METRICS), 2).save(path)
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return saved_bytes(str(tmp_path_factory.getbasetemp()))


def load_bytes(path, data: bytes) -> Trainer:
    path.write_bytes(data)
    return Trainer.load(path)


def is_loaded(path, data: bytes, *errors: type[CheckpointError]) -> bool:
    """Return whether a file loads without a CheckpointError; it may take twice its size and 1 MiB."""
    path.write_bytes(data)
    loaded = []

    def load() -> None:
        with suppress(*errors):
            loaded.append(Trainer.load(path))

    assert peak_memory(load) < 2 * len(data) + (1 << 20)
    return bool(loaded)


def test_a_checkpoint_holds_everything_that_training_changes(path):
    trainer = fit(make_trainer(metrics=METRICS, seed=7), 3, validation_data=(X, Y), report_every=2)
    trainer.save(path)
    loaded = Trainer.load(path)
    assert_same_bits(loaded, trainer)
    assert (loaded.model, loaded.dtype, loaded.seed) == (MODEL, "float32", 7)
    assert (loaded.program.loss, loaded.program.optimizer) == (MeanSquaredError(), Adam(0.01))
    assert list(loaded.program.metrics) == ["halved", "huber"]
    assert list(loaded.history) == list(trainer.history)
    assert type(loaded.history[0]["epoch"]) is int


def test_a_trainer_that_was_loaded_predicts_and_evaluates_the_same(path):
    trainer = fit(make_trainer(metrics=METRICS), 1)
    trainer.save(path)
    loaded = Trainer.load(path)
    np.testing.assert_array_equal(loaded.predict(X), trainer.predict(X))
    assert loaded.evaluate(X, Y) == trainer.evaluate(X, Y)


def test_a_trainer_that_is_initialized_is_saved(path):
    trainer = make_trainer()
    trainer.initialize((3,))
    trainer.save(path)
    assert_same_bits(Trainer.load(path), trainer)


def test_a_trainer_without_parameters_is_not_saved(path):
    with pytest.raises(NotInitializedError, match="call fit or initialize first"):
        make_trainer().save(path)
    assert not path.exists()


def test_metrics_that_are_not_finite_are_kept(path):
    trainer = fit(make_trainer(), 1)
    trainer.history[0].update({"nan": float("nan"), "inf": float("-inf")})
    trainer.save(path)
    assert repr(list(Trainer.load(path).history)) == repr(list(trainer.history))


def test_the_same_run_gives_the_same_file(path, tmp_path, saved):
    fit(make_trainer(metrics=METRICS), 2).save(path)
    assert path.read_bytes() == saved


def test_any_reader_of_safetensors_finds_the_parameters(path):
    trainer = fit(make_trainer(), 1)
    trainer.save(path)
    with safetensors.safe_open(path, framework="numpy") as file:
        assert "optimizer_state.m.3.b" in file.keys()  # noqa: SIM118  # it is no dict
        np.testing.assert_array_equal(file.get_tensor("params.0.W"), trainer.params[0]["W"])
        assert json.loads(file.metadata()["multinn"])["model"] == MODEL.to_dict()


def test_arrays_in_another_memory_order_are_saved_correctly(path):
    trainer = fit(make_trainer(), 1)
    trainer.params[0]["W"] = np.asfortranarray(trainer.params[0]["W"])
    trainer.save(path)
    np.testing.assert_array_equal(Trainer.load(path).params[0]["W"], trainer.params[0]["W"])


def test_a_layer_of_the_user_is_saved_and_loaded(path):
    model = Sequential([Doubled(), Dense(2)])
    fit(make_trainer(model=model), 1).save(path)
    assert Trainer.load(path).model == model


def test_the_error_for_a_lambda_names_the_metric(path):
    path.write_bytes(b"old")
    trainer = fit(make_trainer(metrics={"mine": unnamed}), 1)
    with pytest.raises(DescriptionError, match=r"^metric 'mine': <lambda> is not registered"):
        trainer.save(path)
    assert path.read_bytes() == b"old"


def test_two_arrays_with_one_path_are_not_saved(path):
    trainer = fit(make_trainer(), 1)
    trainer.state = trainer.state._replace(params={"a.b": np.ones(1), "a": {"b": np.ones(1)}})
    with pytest.raises(ValueError, match=r"two arrays of the state have the same path 'params\.a\.b'"):
        trainer.save(path)


def test_loading_needs_about_twice_the_memory_of_the_file(path):
    for optimizer in (SGD(), Adam()):
        trainer = make_trainer(model=Dense(1000), optimizer=optimizer)
        trainer.initialize((1000,))
        trainer.save(path)
        assert peak_memory(lambda: Trainer.load(path)) < 2.1 * path.stat().st_size


def test_four_errors_share_one_base_class():
    assert set(CheckpointError.__subclasses__()) == ERRORS
    for one in ERRORS:
        assert [other for other in ERRORS if issubclass(other, one)] == [one]


@given(data=st.data())
def test_a_truncated_file_is_not_loaded(tmp_path_factory, saved, data):
    length = data.draw(st.integers(0, len(saved) - 1))
    with pytest.raises(DamagedCheckpointError):
        load_bytes(tmp_path_factory.getbasetemp() / "cut", saved[:length])


@given(place=st.floats(0.0, 1.0, exclude_max=True), bit=st.integers(0, 7))
@example(place=0.0, bit=0)
def test_a_file_with_a_flipped_bit_is_not_loaded(tmp_path_factory, saved, place, bit):
    changed = bytearray(saved)
    index = int(place * len(saved))
    changed[index] ^= 1 << bit
    with pytest.raises((DamagedCheckpointError, ForeignFileError)) as error:
        load_bytes(tmp_path_factory.getbasetemp() / "flipped", bytes(changed))
    # If one of the first bytes changes, the file may be of any format.
    assert error.type is DamagedCheckpointError or index < 40


@given(content=st.binary(max_size=200))
@example(b"")
@example(struct.pack("<Q", 2) + b"{}")
@example(struct.pack("<Q", 2**63) + b'{"__metadata__":{"multinn":"')
@example(struct.pack("<Q", 2**31) + b'{"__metadata__":{"multinn":"')
def test_another_file_is_not_loaded(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any"
    assert not is_loaded(path, content, DamagedCheckpointError, ForeignFileError)


@pytest.mark.parametrize(
    "content",
    [
        b"some text that somebody wrote",
        safetensors.numpy.save({"W": np.ones(3)}),
        safetensors.numpy.save({"W": np.ones(3)}, {"format": "pt"}),
    ],
    ids=["text", "safetensors", "safetensors of others"],
)
def test_the_error_for_another_file_says_that_it_is_no_checkpoint(path, content):
    with pytest.raises(ForeignFileError, match=r"run\.safetensors: not a checkpoint of this library"):
        load_bytes(path, content)


def test_the_error_for_a_newer_format_names_the_formats(path, saved):
    data = resealed(saved, lambda content, _: content.update(format=2, model="something else"))
    with pytest.raises(NewerCheckpointError, match=r"a checkpoint of format 2; .* formats up to 1"):
        load_bytes(path, data)


def test_a_forged_file_with_valid_content_is_loaded(path, saved):
    assert_same_bits(load_bytes(path, resealed(saved, lambda *_: None)), load_bytes(path, saved))


def put(**entries: Any) -> Callable[..., None]:
    return lambda content, tensors: content.update(entries)


def drop(name: str) -> Callable[..., None]:
    return lambda content, tensors: content.pop(name)


def tensor(name: str, value: Any) -> Callable[..., None]:
    return lambda content, tensors: tensors.update({name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(format="one"), "expected format 1, got 'one'"),
        (put(format=True), "expected format 1"),
        (drop("format"), "expected format 1, got None"),
        (drop("model"), "'model' is missing"),
        (put(model=None), "expected a description, a dict with the name"),
        (put(model={"class": "os.system"}), "unknown name 'os.system'"),
        (put(model={"class": "SGD"}), "expected a description of a Layer"),
        (put(model=PLAIN.to_dict()), r"the tensor 'params.2.W' is missing"),
        (put(model=Dense(2).to_dict()), "the tensor 'params.W' is missing"),
        (put(model=Dense(3).to_dict()), r"expected the output_shape \(3,\), got \[2\]"),
        (put(loss={"class": "ReLU"}), "expected a description of a Loss"),
        (put(optimizer={"class": "SGD"}), r"the tensor 'optimizer_state.m.0.W' is not part of"),
        (put(optimizer={"class": "Adadelta"}), "the tensor 'optimizer_state.d.0.W' is missing"),
        (put(metrics=["accuracy"]), "expected a dict of metrics by name"),
        (put(metrics={"loss": "accuracy"}), "the name 'loss' is reserved for the history"),
        (put(metrics={"mine": "something"}), "unknown name 'something'"),
        (put(metrics={"mine": "Dense"}), "expected a description of a metric"),
        (put(dtype="float16"), "expected the dtype 'float32' or 'float64', got 'float16'"),
        (put(dtype="float64"), "'params.0.W': expected shape .* and float64, got .* and float32"),
        (put(seed=-1), "seed: expected at least 0, got -1"),
        (put(seed=1.5), "seed: expected an integer, got 1.5"),
        (put(epoch=True), "epoch: expected an integer, got True"),
        (put(step="9"), "step: expected an integer, got '9'"),
        (put(input_shape=3), "input_shape: expected a list, got 3"),
        (put(input_shape=[3.0]), r"input_shape\[0\]: expected an integer, got 3.0"),
        (put(input_shape=[-3]), r"input_shape\[0\]: expected at least 0, got -3"),
        (put(input_shape=[4]), r"'params.0.W': expected shape \(4, 4\) and float32, got \(3, 4\)"),
        (put(input_shape=[10**30]), "parameters of shape .*, which the file cannot hold"),
        (put(input_shape=[]), "Dense: expected inputs of shape"),
        (put(records=[]), "the tensor 'history.records.0' is not part of"),
        (put(records=[["epoch", "loss"]]), "expected the tensor 'history.records.0', float64"),
        (put(records=[[1, 2, 3, 4]]), r"records: expected lists of column names, got \[1, 2, 3, 4\]"),
        (put(records=None), "records: expected a list"),
        (tensor("params.0.W", np.ones((4, 3), np.float32)), r"got \(4, 3\)"),
        (tensor("params.0.W", np.ones((3, 4))), "and float32, got .* and float64"),
        (tensor("params.0.w", np.ones(1)), "the tensor 'params.0.w' is not part of this model"),
        (tensor("history.losses", np.ones((1, 1))), "expected the tensor 'history.losses'"),
        (tensor("history.losses", np.ones(1, np.float32)), "expected the tensor 'history.losses'"),
        (tensor("history.records.0", np.full((1, 4), np.inf)), "cannot convert float infinity"),
        (lambda _, tensors: tensors.pop("params.3.b"), "the tensor 'params.3.b' is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_invalid_content_is_refused(path, saved, change, message):
    with pytest.raises(InvalidCheckpointError, match=rf"run\.safetensors: .*{message}"):
        load_bytes(path, resealed(saved, change))


def test_content_that_is_not_json_is_refused(path, saved):
    with pytest.raises(DamagedCheckpointError):
        load_bytes(path, resealed(saved, put(note=float("nan"))))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-9.0, 9.0) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(data=st.data(), value=ANY_JSON)
def test_any_forged_content_is_loaded_or_refused(tmp_path_factory, saved, data, value):
    """Some content is valid, such as another seed."""
    name = data.draw(st.sampled_from(sorted(content_of(saved))))
    forged = resealed(saved, put(**{name: value}))
    path = tmp_path_factory.getbasetemp() / "forged"
    is_loaded(path, forged, InvalidCheckpointError, NewerCheckpointError)


@pytest.mark.parametrize("forged", [{"input_shape": [10**12]}, {"model": Dense(10**12).to_dict()}])
def test_a_forged_model_larger_than_memory_takes_no_memory(path, saved, forged):
    assert not is_loaded(path, resealed(saved, put(**forged)), InvalidCheckpointError)


def test_invalid_offsets_of_safetensors_are_refused(path, saved):
    sealed = json.loads(
        json.loads(saved[8 : 8 + int.from_bytes(saved[:8], "little")])["__metadata__"]["multinn"]
    )
    unsealed = saved.replace(sealed["sha256"].encode(), b"0" * 64).replace(b'"F32"', b'"F64"', 1)
    data = unsealed.replace(b"0" * 64, hashlib.sha256(unsealed).hexdigest().encode(), 1)
    with pytest.raises(InvalidCheckpointError, match="not a valid safetensors file"):
        load_bytes(path, data)


def test_a_state_is_loaded_into_a_trainer_of_another_learning_rate(path):
    trainer = fit(make_trainer(seed=7), 2)
    trainer.save(path)
    other = make_trainer(optimizer=Adam(0.5))
    other.load_state(path)
    assert_same_bits(other, trainer)
    assert (other.seed, other.program.optimizer) == (7, Adam(0.5))
    fit(other, 1)
    assert other.epoch == 3


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"dtype": "float64"}, "expected the dtype float64, got 'float32'"),
        ({"optimizer": SGD()}, r"the tensor 'optimizer_state.m.0.W' is not part of"),
    ],
    ids=["dtype", "optimizer"],
)
def test_a_state_that_does_not_fit_is_refused_and_nothing_changes(path, keywords, message):
    fit(make_trainer(), 1).save(path)
    trainer, undisturbed = (fit(make_trainer(**keywords), 1) for _ in range(2))
    with pytest.raises(InvalidCheckpointError, match=message):
        trainer.load_state(path)
    assert_same_bits(fit(trainer, 1), fit(undisturbed, 1))


def test_the_error_without_safetensors_names_the_pip_line(tmp_path):
    (tmp_path / "safetensors.py").write_text("raise ModuleNotFoundError('no')")
    result = run_python(
        "import numpy as np, multinn as m\n"
        "trainer = m.Trainer(m.Dense(1), m.MeanSquaredError())\n"
        "trainer.initialize((1,))\n"
        f"for call in (trainer.save, trainer.load_state):\n"
        "    try:\n"
        f"        call({str(tmp_path / 'safetensors.py')!r})\n"
        "    except ImportError as error:\n"
        "        print(error)\n",
        path=[tmp_path],
    )
    expected = 'checkpoints need safetensors (no): pip install "multinn[checkpoint]"\n'
    assert (result.stdout, result.stderr) == (2 * expected, "")


def test_a_header_that_could_not_be_read_is_not_written(path, monkeypatch):
    class Other:
        @staticmethod
        def save(tensors, metadata):
            return struct.pack("<Q", 2) + b"{}"

    monkeypatch.setattr(file_module, "_safetensors", lambda: Other)
    with pytest.raises(RuntimeError, match="cannot be read back"):
        fit(make_trainer(), 1).save(path)
    assert not path.exists()


def test_metrics_of_the_library_are_saved_and_loaded(path):
    metrics = {"a": accuracy, "b": Accuracy(-1)}
    trainer = make_trainer(metrics=metrics)
    trainer.initialize((3,))
    trainer.save(path)
    assert Trainer.load(path).program.metrics == metrics
