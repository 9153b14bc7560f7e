"""Every competitor does a workload's job; otherwise its time would mean nothing."""

import time
from dataclasses import replace

import numpy as np
import pytest

from backends import get_backend, tree
from experiments.competitors import PEERS, load_competitor, missing_modules, models, pip_line
from experiments.competitors.floor import layer_products
from experiments.competitors.models import on_fastest_setting
from experiments.competitors.networks import ConvNet, Mlp, NormalizedMlp, Recurrent, ResNet, Transformer
from experiments.competitors.numpy_by_hand import pool, pool_backward
from experiments.competitors.workloads import all_workloads
from multinn import exchange

BY_HAND = [name for name in PEERS if name == "numpy by hand" or name.startswith("jax.grad")]
# torch.compile takes half a minute per job: only the comparison itself tests it.
QUICK_TO_LOAD = [name for name in PEERS if name != "torch.compile"]
CLASSIC = [
    name
    for name, workload in all_workloads().items()
    if workload.group == "classic" and workload.task == "train"
]
SMALL_NETWORKS = {
    "large": Mlp((784, 24, 16, 10)),
    "lenet": ConvNet((28, 28, 1), ((2,), (4,)), kernel=5),
    "convolutions": ConvNet((8, 8, 3), ((4, 4), (6,)), kernel=3, padding="same"),
    "residual": ResNet((6, 6, 3), channels=4, blocks=2),
    "lstm": Recurrent("lstm", (5, 3), units=4),
    "gru": Recurrent("gru", (5, 3), units=4),
    "transformer": Transformer((5, 8), heads=2, hidden_units=6, blocks=2),
    "batch_norm": NormalizedMlp((12, 8, 8, 10)),
}
# Each has a second bias that is added to the first, so that their sum moves twice as far.
TWO_BIASES = {("torch", "lstm"), ("torch", "gru"), ("keras", "gru")}


# PyTorch's compiler uses functions that PyTorch deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


def small(name):
    """A workload with 100 examples, so that the last batch is smaller; XOR is unchanged."""
    workload = all_workloads()[name]
    if name == "xor":
        return workload
    network = SMALL_NETWORKS.get(name, workload.network)
    # Few channels learn more slowly.
    rate = 0.2 if name == "lenet" else workload.learning_rate
    return replace(workload, network=network, learning_rate=rate, examples=100, batch_size=32)


def examples_of(workload):
    """The workload's data if it can be learned, else images with a brighter square for each class."""
    if workload.name in ("xor", "digits"):
        return workload.data()
    generator = np.random.default_rng(0)
    x = 0.1 * generator.random((workload.examples, 28, 28), dtype=np.float32)
    y = (np.arange(workload.examples) % 10).astype(np.int32)
    for image, label in zip(x, y, strict=True):
        row, column = divmod(int(label), 4)
        image[7 * row : 7 * row + 7, 7 * column : 7 * column + 7] += 1.0
    return x.reshape(workload.examples, *workload.network.input_shape), y


def load(name):
    """The competitor, ready to be used; the test is skipped if one of its libraries is missing."""
    competitor = load_competitor(name)
    if missing := missing_modules(competitor):
        pytest.skip(f"not installed: {pip_line(missing)}")
    competitor.load()
    return competitor


def build(name, workload, x, y):
    return load(name).build(workload, x, y, seed=0)


def supported(names, workloads):
    return [
        (name, workload)
        for name in names
        for workload in workloads
        if load_competitor(name).supports(all_workloads()[workload])
    ]


@pytest.mark.parametrize("name", BY_HAND)
@pytest.mark.parametrize("workload_name", ["digits", "mnist", "large", "lenet"])
def test_two_epochs_by_hand_equal_two_epochs_of_multinn(name, workload_name):
    workload = small(workload_name)
    x, y = examples_of(workload)
    trainer = workload.trainer(get_backend("numpy"), seed=0)
    model = build(name, workload, x, y)
    model.parameters = parameters_of(trainer, name)
    batches = np.split(np.arange(workload.examples), [32, 64, 96])
    losses = [float(model.train_batches(batches)) for _ in range(2)]
    history = trainer.fit(x, y, epochs=2, batch_size=32, shuffle=False, progress=False)
    assert losses == pytest.approx([record["loss"] for record in history], rel=1e-5)
    assert_same_parameters(parameters_of(trainer, name), model.parameters)
    np.testing.assert_allclose(model.outputs(), trainer.predict(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", BY_HAND)
def test_full_batches_by_hand_equal_those_of_multinn(name):
    workload = replace(small("xor"), epochs=200)
    x, y = examples_of(workload)
    trainer = workload.trainer(get_backend("numpy"), seed=0)
    model = build(name, workload, x, y)
    model.parameters = parameters_of(trainer, name)
    loss = float(model.train())
    history = trainer.fit(x, y, epochs=200, batch_size=4, shuffle=False, progress=False)
    assert loss == pytest.approx(history[-1]["loss"], rel=1e-5)
    assert_same_parameters(parameters_of(trainer, name), model.parameters)


def parameters_of(trainer, name):
    """The trainer's parameters in the form of the competitor: a tree, or pairs of W and b."""
    layers = tree.map(np.array, trainer.backend.to_numpy(trainer.params))
    if name == "numpy by hand":
        return [(layer["W"], layer["b"]) for layer in layers if layer]
    return layers


def assert_same_parameters(own, others):
    for expected, parameter in zip(tree.leaves(own), tree.leaves(others), strict=True):
        np.testing.assert_allclose(parameter, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "workload_name"),
    supported(
        ("jax.grad + optax", "jax.grad stepwise", "torch", "keras"),
        [name for name, workload in all_workloads().items() if workload.group == "deep"],
    ),
)
def test_a_step_of_a_deep_network_equals_a_step_of_multinn(name, workload_name):
    workload = replace(small(workload_name), batch_size=100, learning_rate=1.0)
    x, y = workload.data()
    trainer = workload.trainer(get_backend("numpy"), seed=0)
    model = build(name, workload, x, y)
    train, params_after = with_parameters(model, name, workload.network, trainer)
    trainer.fit(x, y, epochs=1, batch_size=100, progress=False)
    train()
    expected, params = trainer.backend.to_numpy(trainer.params), params_after()
    if (name, workload_name) in TWO_BIASES:
        for layers in (expected, params):
            layers[0].pop("b")
            layers[0].pop("c", None)
    assert_same_parameters(expected, params)


def with_parameters(model, name, network, trainer):
    """Give the trainer's parameters to the model; return how to train, and how to read them."""
    own, shape = network.model(), network.input_shape
    given = trainer.backend.to_numpy((trainer.params, trainer.layer_state))
    if name == "torch":
        import torch

        module = model.module
        weights = exchange.to_state_dict(own, *given, shape)
        module.load_state_dict({key: torch.tensor(value) for key, value in weights.items()})
        return model.train, lambda: exchange.from_state_dict(own, module.state_dict(), shape)[0]
    if name == "keras":
        variables = model.network.weights
        model.network.set_weights(exchange.to_keras_weights(own, *given))
        return model.train, lambda: exchange.from_keras_weights(
            own, [np.asarray(each.value) for each in variables], shape
        )[0]
    model.parameters = parameters_of(trainer, name)
    return lambda: model.train_batches([np.arange(100)]), lambda: model.parameters


@pytest.mark.parametrize(("name", "workload_name"), supported(QUICK_TO_LOAD, CLASSIC))
def test_each_run_continues_the_training(name, workload_name):
    """After a few runs, the examples are classified: data, targets and updates belong together."""
    workload = small(workload_name)
    x, y = examples_of(workload)
    model = build(name, workload, x, y)
    runs = 1 if workload_name == "xor" else -(-40 // workload.epochs)
    for _ in range(runs):
        model.train()
    if hasattr(model, "steps_done"):  # a library with several steps per execution
        steps = -(-workload.examples // workload.batch_size)
        assert model.steps_done == runs * workload.epochs * steps
    outputs = np.asarray(model.outputs())
    assert outputs.shape[0] == workload.examples
    if workload_name == "xor":
        # A network of this size may get stuck with two right answers, an error of 1/8.
        assert np.mean((outputs[:, -1:] - y) ** 2) < 0.15
    else:
        assert outputs.shape == (workload.examples, 10)
        assert np.mean(np.argmax(outputs, axis=1) == y) > 0.9
    expected_x, expected_y = examples_of(workload)
    np.testing.assert_array_equal(x, expected_x)
    np.testing.assert_array_equal(y, expected_y)


@pytest.mark.parametrize("name", QUICK_TO_LOAD)
def test_each_predicts(name):
    workload = replace(small("predict"), batch_size=100)
    run = load(name).prepare(workload, *examples_of(workload), seed=0)
    first, second = np.array(run()), np.array(run())
    assert first.shape == (100, 10)
    assert np.ptp(first) > 0 or name == "thinc"  # starts from equal probabilities
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_the_gradient_of_pooling_goes_to_the_largest():
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    y = pool(x)
    np.testing.assert_array_equal(y[0, :, :, 0], [[5, 7], [13, 15]])
    dx = pool_backward(x, y, np.ones_like(y))
    assert np.flatnonzero(dx).tolist() == [5, 7, 13, 15]


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize(
    ("name", "batch", "multiplications"),
    [
        ("mnist", 64, 64 * (2 * 784 * 128 + 3 * 128 * 10)),
        ("large", 256, 256 * (2 * 784 * 512 + 3 * 512 * 512 + 3 * 512 * 10)),
        ("lenet", 64, 64 * (2 * 24 * 24 * 25 * 8 + 3 * 8 * 8 * 200 * 16 + 3 * 256 * 10)),
        ("lstm", 2, 2 * (50 * (2 * 16 + 3 * 64) * 256 + 3 * 64 * 10)),
        (
            "transformer",
            2,
            2 * (6 * 32 * (64 * (4 * 64 + 2 * 32 + 2 * 128)) - 32 * 64 * 192 + 3 * 64 * 10),
        ),
    ],
)
def test_the_floor_multiplies_what_a_step_multiplies(name, batch, multiplications, columns):
    sizes = all_workloads()[name].network.products(batch)
    products = layer_products(sizes, columns, True, np.random.default_rng(0))
    assert sum(left.size * right.shape[-1] for left, right, _ in products) == multiplications
    for left, right, out in products:
        assert out.flags.c_contiguous
        np.testing.assert_allclose(np.matmul(left, right, out=out), left @ right, rtol=1e-4)


@pytest.mark.parametrize("name", all_workloads())
def test_the_floor_runs_each_workload_in_each_layout(name):
    workload = replace(small(name), epochs=2)
    model = build("floor", workload, *workload.data())
    for use in model.settings():
        use()
        model.train()
        model.outputs()


def test_the_first_run_finds_the_fastest_setting(monkeypatch):
    """The first run with a setting does not count, as a library may compile then."""
    monkeypatch.setattr(models, "TRIAL_SECONDS", 0.05)
    setting = None
    runs = []

    def use(which):
        nonlocal setting
        setting = which

    def run():
        is_first = setting not in runs
        runs.append(setting)
        time.sleep(0.1 if is_first else {"slow": 0.03, "fast": 0.0}[setting])

    tuned = on_fastest_setting(run, [lambda: use("slow"), lambda: use("fast")])
    tuned()
    assert set(runs) == {"fast", "slow"}
    runs.clear()
    tuned()
    assert runs == ["fast"]
