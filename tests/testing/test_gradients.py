"""Hand-derived gradients against the oracles, and the oracles against wrong gradients."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import multinn
from backends import Backend, get_backend, tree
from backends.numpy_backend import NumpyBackend
from experiments.check_gradients.oracles import (
    DIFFERENCES,
    FLOAT32,
    FLOAT64,
    FORM32,
    FORM64,
    VJP,
    GradientChecker,
)
from multinn import (
    GELU,
    BinaryCrossEntropy,
    Dense,
    Layer,
    LayerNorm,
    Loss,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    SoftmaxCrossEntropy,
    Softplus,
    Tanh,
)
from multinn.testing.gradient_cases import CASES, LAYERS, LOSSES, Case, LayerCase, LossCase, Point
from multinn.testing.gradient_cases.losses import between_0_and_1
from multinn.testing.gradients import evaluate, relative_error, tree_error
from multinn.testing.oracles import central_differences

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="session")
def checker() -> GradientChecker:
    """One checker for all tests, as it caches its results."""
    return GradientChecker()


# Only on NumPy: other backends are compared with NumPy more tightly. The script checks all of them.
@every_case
@pytest.mark.parametrize("backend", ["numpy"], indirect=True)
def test_gradients_are_those_of_central_differences(checker, backend, case):
    check = checker.check(case, backend, DIFFERENCES)
    assert check.passed, check


@every_case
def test_gradients_are_those_that_jax_derives(checker, backend, case):
    check = checker.check(case, backend, VJP)
    assert check.passed, check


@every_case
def test_gradients_are_those_of_numpy_without_a_compiler(checker, backend, case):
    check = checker.check(case, backend, FLOAT64)
    assert check.passed, check


@every_case
def test_gradients_in_float32_are_close_to_those_in_float64(checker, backend, case):
    check = checker.check(case, backend, FLOAT32)
    assert check.passed, check


@every_case
@pytest.mark.parametrize("oracle", [FORM32, FORM64], ids=["float32", "float64"])
def test_gradients_have_the_form_of_their_variables(checker, backend, case, oracle):
    check = checker.check(case, backend, oracle)
    assert check.passed, check


@every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_numpy_gives_the_same_bits(checker, case, dtype):
    compiled, eager = (checker.evaluation(case, get_backend(b), dtype) for b in ("numpy", "numpy:eager"))
    tree.map(np.testing.assert_array_equal, compiled, eager)


@pytest.mark.parametrize(
    ("base", "covered"),
    [(Layer, {type(case.layer) for case in LAYERS}), (Loss, {type(case.loss) for case in LOSSES})],
    ids=["layers", "losses"],
)
def test_every_exported_layer_and_loss_has_a_case(base, covered):
    exported = {member for member in vars(multinn).values() if inspect.isclass(member)}
    assert {
        member for member in exported if issubclass(member, base) and not inspect.isabstract(member)
    } <= covered


def test_names_are_unique_and_fit_the_table():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 36


@every_case
def test_a_seed_gives_one_point(case):
    one, again, other = (case.draw(seed).variables for seed in (1, 1, 2))
    assert tree_error(one, again) == 0.0
    assert tree_error(one, other) > 0.0


@every_case
def test_a_point_is_the_same_in_both_dtypes(case):
    for leaf in tree.leaves(case.draw(0).variables):
        np.testing.assert_array_equal(leaf, leaf.astype(np.float32))


@pytest.mark.parametrize("case", [case for case in CASES if case.kink], ids=lambda case: case.name)
def test_points_are_away_from_kinks(case):
    assert min(np.abs(case.kink(case.draw(seed))).min() for seed in range(20)) > 0.05


def test_a_function_with_kinks_everywhere_raises():
    case = LayerCase("kinks", Tanh(), (1, 1), kink=lambda point: 0.0 * point.variables["x"])
    with pytest.raises(RuntimeError, match="'kinks': 10000 points drawn, all of them near a kink"):
        case.draw(0)


def assert_differences_agree(case: Case, backend: Backend, point: Point) -> None:
    gradients = evaluate(case, backend, point, "float64").gradients
    assert tree_error(gradients, central_differences(case, backend, point)) <= DIFFERENCES.tolerance


# Examples may differ in shape, and a compiling backend compiles again for each shape.
few_examples = settings(max_examples=8)
seeds = st.integers(0, 2**32)
widths = st.integers(1, 5)
# With a small epsilon, several LayerNorms would vary on a scale far below that of a difference quotient.
smooth_layers = st.sampled_from(
    [Sigmoid(), Tanh(), GELU(), SiLU(), Softplus(), Softmax(), LayerNorm(1.0)]
)


@few_examples
@given(
    shape=array_shapes(min_dims=2, max_dims=4, max_side=4),
    units=widths,
    use_bias=st.booleans(),
    seed=seeds,
)
def test_dense_of_any_shape(backend, shape, units, use_bias, seed):
    case = LayerCase("any Dense", Dense(units, use_bias), shape)
    assert_differences_agree(case, backend, case.draw(seed))


@few_examples
@given(
    batch=widths,
    inputs=widths,
    blocks=st.lists(st.tuples(widths, smooth_layers), min_size=1, max_size=4),
    seed=seeds,
)
def test_perceptrons_of_any_depth(backend, batch, inputs, blocks, seed):
    layers = [layer for units, activation in blocks for layer in (Dense(units), activation)]
    case = LayerCase("any perceptron", Sequential(layers), (batch, inputs))
    assert_differences_agree(case, backend, case.draw(seed))


def logits(min_dims: int):
    return arrays(
        np.float64,
        array_shapes(min_dims=min_dims, max_dims=3, max_side=4),
        elements=st.floats(-30.0, 30.0, width=32),
    )


@few_examples
@given(outputs=logits(min_dims=2), smoothing=st.sampled_from([0.0, 0.1]), seed=seeds)
def test_softmax_cross_entropy_at_any_logits(backend, outputs, smoothing, seed):
    generator = np.random.default_rng(seed)
    classes = generator.integers(outputs.shape[-1], size=outputs.shape[:-1]).astype(np.int32)
    case = LossCase("any logits", SoftmaxCrossEntropy(smoothing), outputs.shape)
    point = Point({"outputs": outputs}, {"targets": classes, "weights": None})
    assert_differences_agree(case, backend, point)


@few_examples
@given(outputs=logits(min_dims=1), seed=seeds)
def test_binary_cross_entropy_at_any_logits(backend, outputs, seed):
    generator = np.random.default_rng(seed)
    targets = generator.integers(2, size=outputs.shape).astype(np.float64)
    weights = generator.uniform(0.5, 2.0, size=outputs.shape[:1])
    case = LossCase("any logits", BinaryCrossEntropy(), outputs.shape)
    point = Point({"outputs": outputs}, {"targets": targets, "weights": weights})
    assert_differences_agree(case, backend, point)


class WrongFactor(Sigmoid):
    def backward(self, backend, params, cache, dy):
        dx, gradients = super().backward(backend, params, cache, dy)
        return dx * 1.0001, gradients


class Transposed(Tanh):
    def backward(self, backend, params, cache, dy):
        dx, gradients = super().backward(backend, params, cache, dy)
        return dx.T, gradients


class NotANumber(Tanh):
    def backward(self, backend, params, cache, dy):
        dx, gradients = super().backward(backend, params, cache, dy)
        return dx * float("nan"), gradients


class Promoting(Tanh):
    def backward(self, backend, params, cache, dy):
        dx, gradients = super().backward(backend, params, cache, dy)
        return backend.xp.astype(dx, backend.xp.float64), gradients


class Cancelling(Tanh):
    def backward(self, backend, params, cache, dy):
        dx, gradients = super().backward(backend, params, cache, dy)
        return (dx + 1000.0) - 1000.0, gradients


class WrongBias(Dense):
    def parameter_gradients(self, backend, params, cache, dy):
        gradients = super().parameter_gradients(backend, params, cache, dy)
        return gradients | {"b": gradients["b"] * 0.5}


class NoBias(Dense):
    def parameter_gradients(self, backend, params, cache, dy):
        return {"W": super().parameter_gradients(backend, params, cache, dy)["W"]}


class TwoFormulas(LayerNorm):
    def parameter_gradients(self, backend, params, cache, dy):
        gradients = super().parameter_gradients(backend, params, cache, dy)
        return tree.map(lambda gradient: gradient * (1.0 + 2.0**-23), gradients)


class FactorOfHalf(BinaryCrossEntropy):
    def per_example(self, backend, outputs, targets):
        values, gradient = super().per_example(backend, outputs, targets)
        return values, gradient * 0.5


class WithoutWeights(BinaryCrossEntropy):
    def __call__(self, backend, outputs, targets, weights=None):
        value, _ = super().__call__(backend, outputs, targets, weights)
        return value, super().__call__(backend, outputs, targets)[1]


WRONG = [
    (LayerCase("wrong factor", WrongFactor(), (4, 6)), {DIFFERENCES, VJP}),
    (LayerCase("transposed", Transposed(), (4, 6)), {DIFFERENCES, VJP, FORM32, FORM64}),
    (LayerCase("not a number", NotANumber(), (4, 6)), {DIFFERENCES, VJP, FLOAT64, FLOAT32}),
    (LayerCase("promoting", Promoting(), (4, 6)), {FORM32}),
    (LayerCase("cancelling", Cancelling(), (4, 6)), {FLOAT32}),
    (LayerCase("wrong bias", WrongBias(4), (5, 3)), {DIFFERENCES, VJP}),
    (LayerCase("no bias", NoBias(4), (5, 3)), {DIFFERENCES, VJP, FORM32, FORM64}),
    (LayerCase("two formulas", TwoFormulas(), (4, 6)), {FORM32, FORM64}),
    (LossCase("halved", FactorOfHalf(), (5, 3), between_0_and_1), {DIFFERENCES, VJP}),
    (
        LossCase("unweighted", WithoutWeights(), (5, 3), between_0_and_1, weighted=True),
        {DIFFERENCES, VJP},
    ),
]


@pytest.mark.parametrize(
    ("case", "caught_by"), [pytest.param(*wrong, id=wrong[0].name) for wrong in WRONG]
)
def test_wrong_gradients_are_caught(checker, case, caught_by):
    numpy = get_backend("numpy")
    failed = {
        oracle for oracle in checker.oracles(numpy) if not checker.check(case, numpy, oracle).passed
    }
    assert failed == caught_by


def test_a_wrong_factor_is_caught_on_every_backend(checker, backend):
    case = LayerCase("wrong", WrongFactor(), (4, 6))
    assert not checker.check(case, backend, DIFFERENCES).passed


def test_an_inexact_backend_is_caught(checker):
    class Inexact(NumpyBackend):
        xp = SimpleNamespace(**{**vars(np), "tanh": lambda x: np.tanh(x) * (1.0 + 1e-9)})

    check = checker.check(LayerCase("tanh", Tanh(), (4, 6)), Inexact(), FLOAT64)
    assert not check.passed
    assert check.error < 1e-8


@pytest.mark.parametrize(
    ("got", "expected", "error"),
    [
        ([3.0, 4.0], [3.0, 4.0], 0.0),
        ([2.0, 0.0], [2.0, 0.5], 0.25),
        ([0.0], [-4.0], 1.0),
        ([0.0], [1e-6], 1e-3),
        ([0.0], [[0.0]], np.inf),
        ([np.nan], [np.nan], np.inf),
        ([np.inf], [np.inf], np.inf),
        ([], [], 0.0),
    ],
)
def test_the_relative_error_is_norm_wise(got, expected, error):
    assert relative_error(np.array(got), np.array(expected)) == pytest.approx(error)


def test_the_error_of_trees_of_different_structure_is_infinite():
    assert tree_error({"W": np.zeros(2)}, {"W": np.zeros(2), "b": np.zeros(2)}) == np.inf
