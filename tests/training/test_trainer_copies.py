"""Copies and pickles of trainers and backends."""

import copy
import pickle

import jax
import numpy as np
import pytest

from backends import get_backend, tree
from multinn import Adam, Huber, schedules
from tests.support.helpers import run_python
from tests.support.small_runs import X, assert_same_bits, fit, make_trainer


def pickled(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_a_copy_is_independent(copied):
    optimizer = Adam(schedules.ExponentialDecay(0.1, 0.5, 10))
    trainer = fit(make_trainer(optimizer=optimizer, metrics={"huber": Huber(0.5).value}), 2)
    other = copied(trainer)
    assert_same_bits(other, trainer)
    before = trainer.predict(X)
    fit(other, 2)
    np.testing.assert_array_equal(trainer.predict(X), before)
    assert (trainer.epoch, len(trainer.history), len(trainer.history.losses)) == (2, 2, 2)
    assert_same_bits(other, fit(trainer, 2))


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_a_copy_of_a_trainer_without_parameters_can_be_trained(copied):
    assert_same_bits(fit(copied(make_trainer()), 1), fit(make_trainer(), 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_a_copy_keeps_the_dtype_and_the_library(copied, dtype):
    trainer = make_trainer("jax", dtype=dtype)
    trainer.initialize((3,))
    leaves = tree.leaves(copied(trainer).state)
    assert {str(leaf.dtype) for leaf in leaves} == {dtype, "int32"}
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)


def test_a_copy_has_the_same_backend_object(backend):
    assert copy.deepcopy(make_trainer(backend)).backend is backend
    assert copy.copy(backend) is backend


@pytest.mark.parametrize("name", ["numpy", "numpy:eager", "jax", "jax:cpu:0"])
def test_a_backend_is_pickled_by_its_name_and_device(name):
    backend = get_backend(name)
    other = pickled(backend)
    assert (type(other), other.device) == (type(backend), backend.device)


def test_a_trainer_is_sent_to_another_process(tmp_path):
    trainer = make_trainer("jax", dtype="float64")
    trainer.initialize((3,))
    (tmp_path / "trainer").write_bytes(pickle.dumps(trainer))
    result = run_python(
        "import pathlib, pickle\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "trainer = pickle.loads((folder / 'trainer').read_bytes())\n"
        "from tests.support.small_runs import fit\n"
        "(folder / 'later').write_bytes(pickle.dumps(fit(trainer, 1)))\n"
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert_same_bits(pickle.loads((tmp_path / "later").read_bytes()), fit(trainer, 1))
