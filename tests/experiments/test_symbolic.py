"""Proofs by computer algebra: right and wrong gradients, and the algebra itself."""

import math
from fractions import Fraction

import numpy as np
import pytest

from backends import get_backend
from experiments.check_gradients import proofs as gradient_proofs
from experiments.check_gradients.proofs import NOT_REACHED, prove, prove_all
from experiments.check_gradients.symbolic import Expression, FullError, SymbolicBackend, UnreachedError
from experiments.check_gradients.symbolic.expressions import rational
from multinn import GELU, BinaryCrossEntropy, Dense, LayerNorm, ReLU, Sigmoid, Softmax, Tanh
from multinn.testing.gradient_cases import CASES, LAYERS, LayerCase, LossCase
from multinn.testing.gradient_cases.losses import between_0_and_1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gradients_are_proved(case):
    if case.name in NOT_REACHED:
        with pytest.raises(UnreachedError):
            prove(case)
    else:
        proof = prove(case)
        assert proof.wrong == ()
        assert proof.identities > 0


def test_not_reached_has_names_of_cases_and_reasons():
    assert NOT_REACHED.keys() <= {case.name for case in CASES}
    assert all(NOT_REACHED.values())


@pytest.mark.parametrize(
    "case", [case for case in LAYERS if case.smaller is not None], ids=lambda case: case.name
)
def test_a_smaller_case_is_of_the_same_layer(case):
    assert type(case.smaller.layer) is type(case.layer)
    assert case.smaller.training == case.training


class WrongFactor(Sigmoid):
    def backward(self, backend, params, cache, dy):
        dx, gradients = super().backward(backend, params, cache, dy)
        return dx * (1.0 + 1e-7), gradients


class MissingTerm(LayerNorm):
    def backward(self, backend, params, cache, dy):
        dx, gradients = super().backward(backend, params, cache, dy)
        _, s = cache
        return (dx + backend.xp.mean(dy * params["gamma"], axis=-1, keepdims=True) / s, gradients)


class Transposed(Tanh):
    def backward(self, backend, params, cache, dy):
        dx, gradients = super().backward(backend, params, cache, dy)
        return backend.xp.matrix_transpose(dx), gradients


class OtherShape(Tanh):
    def backward(self, backend, params, cache, dy):
        dx, gradients = super().backward(backend, params, cache, dy)
        return dx[:1, ...], gradients


class NoBias(Dense):
    def parameter_gradients(self, backend, params, cache, dy):
        return {"W": super().parameter_gradients(backend, params, cache, dy)["W"]}


class WithoutOthers(Softmax):
    def backward(self, backend, params, cache, dy):
        y = cache
        return dy * y * (1.0 - y), {}


class Leaking(ReLU):
    def backward(self, backend, params, cache, dy):
        return dy, {}


class WithoutDensity(GELU):
    def backward(self, backend, params, cache, dy):
        _, g = cache
        return dy * g, {}


class FactorOfHalf(BinaryCrossEntropy):
    def per_example(self, backend, outputs, targets):
        values, gradient = super().per_example(backend, outputs, targets)
        return values, gradient * 0.5


@pytest.mark.parametrize(
    ("case", "wrong"),
    [
        (LayerCase("wrong factor", WrongFactor(), (2, 2)), ["x"]),
        (LayerCase("missing term", MissingTerm(), (2, 3)), ["x"]),
        (LayerCase("transposed", Transposed(), (2, 2)), ["x"]),
        (LayerCase("other shape", OtherShape(), (2, 2)), ["x"]),
        (LayerCase("no bias", NoBias(2), (2, 2)), ["params.b"]),
        (LayerCase("without others", WithoutOthers(), (2, 3)), ["x"]),
        (LayerCase("leaking", Leaking(), (2, 4)), ["x"]),
        (LayerCase("without density", WithoutDensity(), (2, 2)), ["x"]),
        (LossCase("halved", FactorOfHalf(), (2, 2), between_0_and_1), ["outputs"]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_wrong_gradients_are_refuted(case, wrong):
    assert list(prove(case).wrong) == wrong


class Bessel(Tanh):
    def forward(self, backend, params, x, key=None):
        return backend.xp.bessel(x), x


def test_an_unknown_function_is_not_reached():
    case = LayerCase("Bessel", Bessel(), (1, 1))
    with pytest.raises(UnreachedError, match="the function bessel has no symbolic counterpart"):
        prove(case)
    assert prove_all([case], 0, lambda: None).not_reached == {
        "Bessel": "the function bessel has no symbolic counterpart"
    }


def test_a_case_that_is_too_large_is_not_reached(monkeypatch):
    monkeypatch.setattr("experiments.check_gradients.symbolic.field._MOST_WORK", 100)
    with pytest.raises(UnreachedError, match="it takes more than 100 products of terms"):
        prove(LayerCase("large", Dense(3), (3, 3)))


def test_a_case_of_not_reached_is_not_tried(monkeypatch):
    monkeypatch.setattr(gradient_proofs, "NOT_REACHED", {"Tanh": "for no reason"})
    calls = []
    found = prove_all([LayerCase("Tanh", Tanh(), (1, 1))], 0, lambda: calls.append(1))
    assert found == ({}, {"Tanh": "for no reason"})
    assert len(calls) == 1


def test_both_sides_of_a_kink_are_proved():
    """The drawn point has entries on each side."""
    case = next(case for case in CASES if case.name == "ReLU")
    x = case.draw(0).variables["x"]
    assert (x > 0).any()
    assert (x < 0).any()


def symbols(*numbers: float) -> list[Expression]:
    backend = SymbolicBackend(64)
    return list(backend.from_numpy(np.array(numbers)))


def test_identities_of_the_functions():
    x, y = symbols(0.5, -1.5)
    assert ((x + y) * (x - y) - (x * x - y * y)).is_zero()
    assert (x / y * y - x).is_zero()
    assert (1 / (x + y) / (x - y) * (x * x - y * y) - 1).is_zero()
    assert ((x + y).exp() - x.exp() * y.exp()).is_zero()
    assert ((-x).exp() * x.exp() - 1).is_zero()
    assert (x.exp().log() - x).is_zero()
    assert ((x * y).log1p().exp() - (1 + x * y)).is_zero()
    assert (1 / (1 + (-x).exp()) - x.exp() / (1 + x.exp())).is_zero()
    assert ((1 + (-x).exp()).log() - ((1 + x.exp()).log() - x)).is_zero()
    assert ((x * x + 1).sqrt() ** 2 - (x * x + 1)).is_zero()
    assert (x**-2 * x**2 - 1).is_zero()
    assert (x**1.5 * x**0.5 - x * x).is_zero()
    assert (x.expm1() + 1 - x.exp()).is_zero()


@pytest.mark.parametrize(
    "nearly",
    [
        lambda x, y: x * 1.0000001 - x,
        lambda x, y: x.exp() - (x + 0.0000001).exp(),
        lambda x, y: (x * x).sqrt() - y,
        lambda x, y: x / y - 1,
    ],
)
def test_a_false_identity_is_not_accepted(nearly):
    assert not nearly(*symbols(0.5, 0.5000001)).is_zero()


@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        (lambda x: x**3, lambda x: 3 * x * x),
        (lambda x: 1 / x, lambda x: -1 / (x * x)),
        (lambda x: x.sqrt(), lambda x: 0.5 / x.sqrt()),
        (lambda x: (2 * x).exp(), lambda x: 2 * (2 * x).exp()),
        (lambda x: (x * x).log(), lambda x: 2 / x),
        (lambda x: x.apply("tanh"), lambda x: 1 - x.apply("tanh") ** 2),
        (lambda x: x.apply("sin"), lambda x: x.apply("cos")),
        (lambda x: x.apply("atan"), lambda x: 1 / (1 + x * x)),
        (
            lambda x: x.apply("normal_cdf"),
            lambda x: (-0.5 * x * x).exp() * (1.0 / math.sqrt(2.0 * math.pi)),
        ),
    ],
)
def test_derivatives(function, derivative):
    (x,) = symbols(0.75)
    assert (function(x).derivative(x) - derivative(x)).is_zero()


def test_comparisons_are_decided_at_the_point():
    x, y = symbols(0.5, -1.5)
    assert x > y
    assert y < 0
    assert abs(y) == -y
    assert x > -math.inf
    assert x.field.comparisons == 3


def test_a_tie_is_not_decided():
    x, y = symbols(0.5, 0.5)
    assert x == x
    with pytest.raises(UnreachedError, match="too close to a tie"):
        _ = x > y


@pytest.mark.parametrize(
    ("number", "meaning"),
    [
        (1.0 / 3.0, Fraction(1, 3)),
        (1.0 - 0.9, Fraction(1, 10)),
        (3.0 * 0.044715, Fraction(134145, 1_000_000)),
        (1e-5, Fraction(1, 100_000)),
        (-0.0, Fraction(0)),
        (1.0000001, Fraction(10_000_001, 10_000_000)),
    ],
)
def test_floats_mean_simple_rationals(number, meaning):
    assert rational(number) == meaning


@pytest.mark.parametrize("bad", [float("nan"), "x", None])
def test_an_operand_that_is_no_number_is_refused(bad):
    (x,) = symbols(1.0)
    with pytest.raises(UnreachedError, match=r"expected a (finite )?number, got"):
        _ = x * bad


def test_a_full_field_is_an_error():
    backend = SymbolicBackend(1)
    with pytest.raises(FullError):
        backend.from_numpy(np.ones(2))


def test_functions_of_arrays_have_the_values_of_numpy():
    """Compare the values at the point."""
    numbers = np.random.default_rng(0).normal(size=(2, 3))
    backend, numpy = SymbolicBackend(256), get_backend("numpy:eager")
    x = backend.from_numpy(numbers)

    def compute(xp, x):
        return [
            xp.mean(x, axis=0),
            xp.var(x, axis=-1, correction=1.0, keepdims=True),
            xp.max(x, axis=1),
            xp.clip(x, -0.5, 0.5),
            xp.logaddexp(x, -x),
            xp.vecdot(x, x * x),
            xp.sign(x) * xp.abs(x),
            xp.pow(xp.abs(x), 1.5),
            xp.where(x > 0.0, x, xp.zeros_like(x)),
            xp.sin(x) + xp.cos(x) + xp.atan(x),
            xp.concat([x, xp.full((1, 3), 2.0)], axis=0) @ xp.permute_dims(x, (1, 0)),
            xp.astype(x > 0.0, x.dtype) * xp.expm1(x),
        ]

    found, expected = backend.to_numpy(compute(backend.xp, x)), compute(numpy.xp, numbers)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
