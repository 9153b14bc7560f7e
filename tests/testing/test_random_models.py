"""Random models of all layers: backends, export, files and resumed runs.

Random models against PyTorch's own derivatives are in test_torch_random_models.py.
"""

import inspect
from pathlib import Path

import numpy as np
import pytest

import multinn
from backends import Backend, tree
from multinn import (
    SGD,
    Adam,
    AdamW,
    CheckpointError,
    Heads,
    Layer,
    Loss,
    MeanSquaredError,
    RMSProp,
    Trainer,
)
from multinn.host.trees import count_of, is_one_shape, map_shapes, shape_of
from multinn.testing.gradients import evaluate, tree_error
from multinn.testing.random_models import parts_of
from tests.support.onnx_runs import assert_same, point_of
from tests.support.random_runs import IN_THE_SUITE, SEEDS, case_of, reference

OPTIMIZERS = [SGD(0.01, momentum=0.9), Adam(0.01), AdamW(0.01), RMSProp(0.01)]

every_model = pytest.mark.parametrize("seed", SEEDS)


def test_every_layer_is_in_a_model():
    members = {member for member in vars(multinn).values() if inspect.isclass(member)}
    exported = {each for each in members if issubclass(each, Layer) and not inspect.isabstract(each)}
    drawn = {type(part) for seed in range(IN_THE_SUITE) for part in parts_of(case_of(seed).layer)}
    assert exported == drawn


def assert_reference(backend: Backend, seed: int) -> None:
    case = case_of(seed)
    assert tree_error(evaluate(case, backend, case.draw(0), "float64"), reference(seed)) < 1e-10


@every_model
@pytest.mark.parametrize("backend", ["numpy", "array_api_strict", "torch"], indirect=True)
def test_gradients_are_those_of_numpy(backend, seed):
    assert_reference(backend, seed)


# Compiling takes half a second for each model.
@pytest.mark.parametrize("seed", [seed for seed in SEEDS if seed % 10 == 0 or seed >= IN_THE_SUITE])
@pytest.mark.parametrize("backend", ["jax"], indirect=True)
def test_gradients_of_jax_are_those_of_numpy(backend, seed):
    assert_reference(backend, seed)


@every_model
def test_an_exported_model_gives_the_same(seed):
    layer, params, state, x = point_of(case_of(seed))
    assert_same(layer, x, params, state)


@every_model
def test_a_run_resumes_from_its_file(seed, tmp_path):
    model, _, _, x = point_of(case_of(seed))
    generator = np.random.default_rng(seed)
    _, shape = model.init(generator, shape_of(x))
    y = map_shapes(lambda own: generator.normal(size=(count_of(x), *own)), shape)
    loss: Loss = MeanSquaredError()
    if not is_one_shape(shape):
        loss = Heads(dict.fromkeys(shape, loss) if isinstance(shape, dict) else [loss] * len(shape))
    optimizer = OPTIMIZERS[seed % len(OPTIMIZERS)]
    trainer = Trainer(model, loss, optimizer, backend="numpy", seed=seed)
    trainer.fit(x, y, epochs=2, batch_size=2, progress=False)
    path = tmp_path / "model"
    trainer.save(path)
    loaded = Trainer.load(path, backend="numpy")
    tree.map(np.testing.assert_array_equal, loaded.predict(x), trainer.predict(x))
    for each in (trainer, loaded):
        each.fit(x, y, epochs=2, batch_size=2, progress=False)
    tree.map(np.testing.assert_array_equal, loaded.state, trainer.state)
    assert loaded.history == trainer.history
    assert_damage_is_found(path, generator)


def assert_damage_is_found(path: Path, generator: np.random.Generator) -> None:
    """Cut the file at a random place, then change a random bit."""
    content = path.read_bytes()
    place = int(generator.integers(len(content)))
    changed = content[place] ^ (1 << int(generator.integers(8)))
    for damaged in (content[:place], content[:place] + bytes([changed]) + content[place + 1 :]):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            Trainer.load(path, backend="numpy")
