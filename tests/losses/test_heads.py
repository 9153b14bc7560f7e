"""Losses of several outputs: sums of the losses of each, their weights, and what does not fit."""

from typing import Any

import numpy as np
import pytest

from backends import Backend, get_backend, tree
from multinn import CTC, HalfSquaredError, Heads, Loss, MeanSquaredError, SoftmaxCrossEntropy
from multinn.descriptions.brief import brief

MSE = MeanSquaredError()
RNG = np.random.default_rng(0)
NAMED = Heads({"price": MeanSquaredError(), "kind": SoftmaxCrossEntropy()}, {"kind": 0.5, "price": 2})
UNNAMED = Heads([MeanSquaredError(), SoftmaxCrossEntropy()], (2.0, 0.5))
OUTPUTS = {"price": RNG.normal(size=(6, 2)), "kind": RNG.normal(size=(6, 3))}
TARGETS = {"price": RNG.normal(size=(6, 2)), "kind": RNG.integers(0, 3, 6).astype(np.int32)}
EXAMPLES = np.array([1.0, 0.0, 2.0, 0.5, 1.0, 1.0])
KNOWN = {
    "price": np.array([[1.0, 0.0], [2.0, 1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [3.0, 0.5]]),
    "kind": np.array([0.0, 0.0, 1.0, 4.0, 1.0, 1.0]),
}


def as_tuple(values: Any) -> Any:
    return tuple(values.values()) if isinstance(values, dict) else values


def report(backend: Backend, loss: Loss, *arguments: Any) -> Any:
    """Return the report and the gradient, compiled, as NumPy arrays."""
    with backend.precision("float64"):
        on_backend = backend.from_numpy(arguments)
        run = backend.jit(lambda *each: loss.report(backend, *each), *on_backend)
        return backend.to_numpy(run(*on_backend))


def separate(weights: Any) -> dict[str, Any]:
    """Return the loss of each output alone, and its gradient."""
    numpy = get_backend("numpy:eager")
    of_head = weights if isinstance(weights, dict) else dict.fromkeys(OUTPUTS, weights)
    return {
        key: loss(numpy, OUTPUTS[key], TARGETS[key], of_head[key])
        for key, loss in zip(NAMED.names, NAMED.losses, strict=True)
    }


@pytest.mark.parametrize("weights", [None, EXAMPLES], ids=["plain", "weighted"])
def test_the_loss_is_the_sum_of_the_losses(backend, weights):
    values, gradient = report(backend, NAMED, OUTPUTS, TARGETS, weights)
    parts = separate(weights)
    assert set(values) == {"loss", "loss_price", "loss_kind"} == set(NAMED.reductions)
    np.testing.assert_allclose(values["loss"], 2.0 * parts["price"][0] + 0.5 * parts["kind"][0])
    for key, c in (("price", 2.0), ("kind", 0.5)):
        np.testing.assert_allclose(values[f"loss_{key}"], parts[key][0], rtol=1e-13)
        np.testing.assert_allclose(gradient[key], c * parts[key][1], rtol=1e-13)


@pytest.mark.parametrize("weights", [EXAMPLES, KNOWN], ids=["of examples", "of heads"])
def test_outputs_are_a_dict_or_a_tuple(backend, weights):
    values, gradient = report(backend, NAMED, OUTPUTS, TARGETS, weights)
    others = report(backend, UNNAMED, *map(as_tuple, (OUTPUTS, TARGETS, weights)))
    assert set(others[0]) == {"loss", "loss_0", "loss_1"} == set(UNNAMED.reductions)
    for one, other in zip(tree.leaves((gradient["price"], gradient["kind"])), others[1], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(values["loss"], others[0]["loss"])


def test_with_weights_of_each_head_a_loss_is_multiplied_by_its_share(backend):
    values, gradient = report(backend, NAMED, OUTPUTS, TARGETS, KNOWN)
    parts = separate(KNOWN)
    sums = {"price": KNOWN["price"].mean(axis=1).sum(), "kind": KNOWN["kind"].sum()}
    for key, c in (("price", 2.0), ("kind", 0.5)):
        share = sums[key] / (sum(sums.values()) / 2.0)
        np.testing.assert_allclose(values[f"loss_{key}"], share * parts[key][0], rtol=1e-13)
        np.testing.assert_allclose(gradient[key], c * share * parts[key][1], rtol=1e-12)
    np.testing.assert_allclose(values["loss"], 2.0 * values["loss_price"] + 0.5 * values["loss_kind"])


def test_batches_by_their_weights_give_the_loss_of_all_examples():
    """In the first batch, no kind is known."""
    numpy = get_backend("numpy:eager")
    weights = tree.map(lambda w: w / w.mean(), KNOWN)  # the mean of each head is 1
    whole = separate(KNOWN)
    means = {"loss_price": 0.0, "loss_kind": 0.0}
    total = 0.0
    for rows in (slice(0, 2), slice(2, 6)):
        batch = tree.map(lambda leaf, rows=rows: leaf[rows], (OUTPUTS, TARGETS, weights))
        values, _ = NAMED.report(numpy, *batch)
        weight = np.mean([w.mean(axis=tuple(range(1, w.ndim))).sum() for w in batch[2].values()])
        means = {name: mean + weight * values[name] for name, mean in means.items()}
        total += weight
    for key in ("price", "kind"):
        np.testing.assert_allclose(means[f"loss_{key}"] / total, whole[key][0], rtol=1e-13)


def test_sums_have_no_shares():
    loss = Heads([HalfSquaredError(), HalfSquaredError()])
    outputs, targets = (
        (RNG.normal(size=(4, 1)), RNG.normal(size=(4, 2))),
        (np.zeros((4, 1)), np.zeros((4, 2))),
    )
    weights = np.array([1.0, 0.0, 2.0, 1.0]), np.ones((4, 2))
    value, gradient = loss(get_backend("numpy"), outputs, targets, weights)
    assert loss.reductions == dict.fromkeys(("loss", "loss_0", "loss_1"), "sum")
    expected = np.sum(weights[0][:, None] * outputs[0] ** 2) + np.sum(outputs[1] ** 2)
    np.testing.assert_allclose(value, expected / 2.0)
    np.testing.assert_allclose(gradient[1], outputs[1])


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_what_has_weight_0_or_coefficient_0_is_selected_away(backend, wrong):
    outputs = {key: values.copy() for key, values in OUTPUTS.items()}
    expected = report(backend, NAMED, outputs, TARGETS, KNOWN)
    for key, weights in KNOWN.items():
        outputs[key][weights == 0.0] = wrong
    tree.map(np.testing.assert_array_equal, report(backend, NAMED, outputs, TARGETS, KNOWN), expected)
    outputs["kind"][:] = wrong
    loss = Heads(NAMED.losses, (1.0, 0.0), NAMED.names)
    values, gradient = report(backend, loss, outputs, TARGETS, KNOWN)
    assert values["loss"] == values["loss_price"]
    assert np.isfinite(values["loss"])
    assert not gradient["kind"].any()


def test_weights_of_heads_that_are_all_zero_give_zero(backend):
    values, gradient = report(backend, NAMED, OUTPUTS, TARGETS, tree.map(np.zeros_like, KNOWN))
    assert all(value == 0.0 for value in values.values())
    assert not any(leaf.any() for leaf in tree.leaves(gradient))


def test_the_loss_of_an_example_is_the_sum_over_its_outputs():
    numpy = get_backend("numpy:eager")
    values, gradient = NAMED.per_example(numpy, OUTPUTS, TARGETS)
    mean, of_mean = NAMED(numpy, OUTPUTS, TARGETS)
    np.testing.assert_allclose(values.mean(), mean)
    np.testing.assert_allclose(gradient["kind"] / 6.0, of_mean["kind"])


def test_heads_may_hold_heads():
    numpy, inner = get_backend("numpy:eager"), Heads({"a": MSE, "b": MSE})
    loss, one = Heads([inner, MSE]), np.ones((2, 1))
    values, gradient = loss.report(
        numpy, ({"a": one, "b": 2.0 * one}, one), ({"a": 0 * one, "b": one}, one)
    )
    assert values == {"loss": 2.0, "loss_0": 2.0, "loss_0_a": 1.0, "loss_0_b": 1.0, "loss_1": 0.0}
    assert values.keys() == loss.reductions.keys()
    np.testing.assert_array_equal(gradient[0]["a"], one)


@pytest.mark.parametrize("loss", [NAMED, UNNAMED, Heads({"only": CTC(1)})], ids=brief)
def test_a_description_gives_the_same_loss(loss):
    again = Loss.from_dict(loss.to_dict())
    assert again == loss
    assert hash(again) == hash(loss)


def test_a_brief_text_shows_the_losses_and_the_names():
    assert brief(NAMED) == (
        "Heads(losses=(MeanSquaredError, SoftmaxCrossEntropy), coefficients=(2.0, 0.5), "
        "names=('price', 'kind'))"
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3,), TypeError, "Heads: expected losses: a dict or a tuple of losses, got 3"),
        (([],), ValueError, "Heads: expected losses: at least one, got none"),
        (([MSE, 3],), TypeError, r"Heads: expected losses\[1\]: Loss, got 3"),
        (({"a": Heads({"b": MSE}), "a_b": MSE},), ValueError, "Heads: .*different names.*'loss_a_b'"),
        (([MSE], None, ["a", "b"]), ValueError, r"Heads: expected names: one for each of 1 losses"),
        (({"a": MSE}, {"b": 1.0}), TypeError, "Heads: expected coefficients: .*with the keys 'a', got"),
        (([MSE], "1"), TypeError, "Heads: expected coefficients: numbers, as a tuple of 1, got '1'"),
        (([MSE], ["1"]), TypeError, "Heads: expected coefficients: a number, got '1'"),
        (([MSE], [1.0, 2.0]), ValueError, "Heads: expected coefficients: 1 finite numbers"),
        (([MSE], [-1.0]), ValueError, "Heads: expected coefficients: 1 finite numbers of 0 or more"),
        (([MSE], [np.inf]), ValueError, "Heads: expected coefficients: 1 finite numbers"),
        (([MSE], [0.0]), ValueError, "Heads: expected coefficients: 1 finite numbers .* not all 0"),
        (
            ({"a": MSE, "b": HalfSquaredError()},),
            ValueError,
            "Heads: .* all means .* the mean MeanSquaredError of 'a', the sum HalfSquaredError of 'b'",
        ),
    ],
)
def test_impossible_heads_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Heads(*arguments)


SHAPES = {"price": (2,), "kind": (3,)}


def test_targets_are_those_of_each_loss():
    prepared = NAMED.prepare_targets(
        {"kind": TARGETS["kind"].astype(float), "price": TARGETS["price"]}, SHAPES, "float32"
    )
    assert list(prepared) == ["price", "kind"]
    assert [leaf.dtype for leaf in prepared.values()] == ["float32", "int32"]
    assert isinstance(UNNAMED.prepare_targets(as_tuple(TARGETS), as_tuple(SHAPES), "float32"), tuple)


WRONG_KIND = TARGETS | {"kind": TARGETS["kind"] + 1}
NO_KIND = {"price": TARGETS["price"]}


@pytest.mark.parametrize(
    ("loss", "targets", "shapes", "message"),
    [
        (
            NAMED,
            NO_KIND,
            SHAPES,
            "Heads: expected targets: a dict .*'kind', got a dict with the keys 'price'",
        ),
        (NAMED, NO_KIND["price"], SHAPES, r"Heads: expected targets: .* ndarray of shape \(6, 2\)"),
        (NAMED, TARGETS, (2,), r"Heads: expected a model whose outputs are a dict .* of shape \(2,\)"),
        (UNNAMED, as_tuple(TARGETS), (2, 3), "Heads: expected a model whose outputs are a tuple of 2"),
        (NAMED, WRONG_KIND, SHAPES, r"^\['kind'\]: SoftmaxCrossEntropy: expected integer classes"),
        (UNNAMED, as_tuple(TARGETS)[::-1], as_tuple(SHAPES), r"^\[0\]: MeanSquaredError: expected tar"),
    ],
)
def test_targets_that_do_not_fit_are_named(loss, targets, shapes, message):
    with pytest.raises(ValueError, match=message):
        loss.prepare_targets(targets, shapes, "float32")


def test_weights_are_those_of_the_examples_or_of_each_loss():
    def prepare(loss: Loss, weights: Any) -> Any:
        return loss.prepare_weights(weights, 6, SHAPES if loss is NAMED else as_tuple(SHAPES), "float32")

    assert prepare(NAMED, [1, 1, 0, 0, 0, 0]).shape == (6,)
    assert prepare(UNNAMED, (1, 1, 0, 0, 0, 0)).shape == (6,)
    tree.map(np.testing.assert_array_equal, prepare(NAMED, KNOWN), tree.map(np.float32, KNOWN))
    assert {leaf.dtype.name for leaf in prepare(UNNAMED, as_tuple(KNOWN))} == {"float32"}
    inner = as_tuple(KNOWN)
    nested = Heads([UNNAMED, MSE]).prepare_weights(
        (inner, KNOWN["price"]), 6, (as_tuple(SHAPES), (2,)), "float64"
    )
    tree.map(np.testing.assert_array_equal, nested, (inner, KNOWN["price"]))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            {"price": KNOWN["price"], "kind": None},
            "weights: .*'price', 'kind', got a dict with the keys 'price'; .* numpy.ones",
        ),
        (np.ones((6, 2)), r"weights: expected shape \(6,\), got \(6, 2\)"),
        (KNOWN | {"kind": np.ones((6, 3))}, r"weights\['kind'\]: expected shape \(6,\), got \(6, 3\)"),
        (KNOWN | {"price": np.zeros(6)}, r"weights\['price'\]: expected at least one above 0"),
    ],
)
def test_weights_that_do_not_fit_are_named(weights, message):
    with pytest.raises(ValueError, match=message):
        NAMED.prepare_weights(weights, 6, SHAPES, "float32")
