"""The diagnosis of a run that did not learn XOR."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.xor.diagnosis import count, explain, gradient_norm, listed, lowest_curvature
from experiments.xor.recipes import RECIPES, Run
from tests.support.xor_runs import BY_HAND, X, Y, classroom, trained

SOURCES = [*BY_HAND]


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        ([0.1, 0.9, 0.76, 0.24], [True, True, True, True]),
        ([0.26, 0.74, 1.0, 0.0], [False, False, True, True]),
        ([0.25, 0.9, 0.9, 0.1], [False, True, True, True]),
    ],
)
def test_a_prediction_is_right_if_it_is_nearer_to_its_target_than_to_one_half(predictions, expected):
    run = Run([1.0], 1.0, predictions, ())
    assert run.right == expected
    assert run.learned == all(expected)


@pytest.mark.parametrize("name", SOURCES)
def test_gradient_and_curvature_are_those_of_automatic_differentiation(name):
    recipe, run, _ = trained(name, RECIPES[name].default_seed)
    leaves, structure = jax.tree.flatten(run.params)
    is_trained = [name == "notebook" or leaf.ndim == 2 for leaf in leaves]
    sizes = np.cumsum([leaf.size for leaf, is_free in zip(leaves, is_trained, strict=True) if is_free])
    start = np.concatenate([x.ravel() for x, is_free in zip(leaves, is_trained, strict=True) if is_free])

    def loss(vector):
        parts = iter(jnp.split(vector, sizes[:-1]))
        free = [
            next(parts).reshape(leaf.shape) if is_free else leaf
            for leaf, is_free in zip(leaves, is_trained, strict=True)
        ]
        first, _, second, _ = jax.tree.unflatten(structure, free)
        hidden = jax.nn.sigmoid(X @ first["W"] + first["b"])
        return 0.5 * jnp.sum((Y - jax.nn.sigmoid(hidden @ second["W"] + second["b"])) ** 2)

    with jax.enable_x64(True):
        gradient = np.linalg.norm(jax.jit(jax.grad(loss))(start))
        lowest = np.linalg.eigvalsh(jax.jit(jax.hessian(loss))(start))[0]
    assert gradient_norm(recipe, run.params) == pytest.approx(gradient, rel=1e-9)
    assert lowest_curvature(recipe, run.params) == pytest.approx(lowest, rel=1e-4)


@pytest.mark.parametrize("name", SOURCES)
def test_the_published_runs_end_where_the_loss_curves_upwards(name):
    recipe, run, trainer = trained(name, RECIPES[name].default_seed)
    assert "poor local minimum" in " ".join(explain(recipe, run, trainer))


@pytest.mark.parametrize("name", SOURCES)
def test_the_published_runs_do_not_learn_in_ten_times_the_steps_either(name):
    assert not trained(name, RECIPES[name].default_seed, 100_000)[1].learned


def test_the_hidden_units_of_the_notebook_do_not_distinguish_two_inputs():
    recipe, run, trainer = trained("notebook", 42)
    assert run.right == [True, False, True, False]
    assert "answer 0 1 and 1 1 almost alike" in " ".join(explain(recipe, run, trainer))


def test_the_frozen_biases_keep_the_classroom_from_learning():
    recipe, run, trainer = trained("classroom", 0)
    freed = classroom(biases=True)
    assert np.abs(freed.predictions - Y[:, 0]).max() < 0.25
    assert f"mean squared error of {freed.losses[-1]:.2g}, and learns XOR" in explain(
        recipe, run, trainer
    )[-1].replace("\n", " ")


def test_a_plateau_is_reported_as_one_and_more_steps_leave_it():
    recipe, run, trainer = trained("notebook", 65)
    assert "plateau or a saddle point" in " ".join(explain(recipe, run, trainer))
    assert trained("notebook", 65, 50_000)[1].learned


def test_a_run_that_is_too_short_is_reported_as_not_converged():
    recipe, run, trainer = trained("robust", 0, 8)
    assert "Training has not converged" in explain(recipe, run, trainer)[0]


@pytest.mark.parametrize(
    ("words", "expected"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_listed_as_in_a_sentence(words, expected):
    assert listed(words) == expected


def test_units_are_counted_as_in_a_sentence():
    assert (count(1, "step"), count(10_000, "step")) == ("1 step", "10,000 steps")
