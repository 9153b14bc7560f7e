"""Why a network did not learn XOR: what its last parameters show.

All of it is computed on the host in float64, whatever the run used: it is a property of a point in the
space of the parameters. Gradients and curvatures are those of the loss that the recipe minimizes.

What is said holds at that point, for any seed. For the seeds of the two sources more is known: runs of
1,000,000 steps do not learn XOR either. Their weights keep growing while the loss sinks, ever more
slowly, towards 1/8 (notebook) and 0.189 (classroom): the poor local minimum lies at infinity.
"""

import textwrap
from dataclasses import replace
from itertools import product

import numpy as np

from backends import HostArray, Tree, get_backend, tree
from experiments.xor.recipes import INPUTS, TARGETS, Recipe, Run, input_name
from multinn import Examples, Sequential, Trainer, value_and_gradients

# Central differences of the gradient: an error of about 1e-10, where curvatures are above 1e-6.
_STEP = 1e-5
# If the last tenth of the epochs changed the loss by less than this share, training has all but stopped.
_LITTLE = 0.01
# A change over the last tenth of fewer steps than this says little.
_FEW = 1000
# If the outputs of each hidden unit differ by less than this, they are alike.
_ALIKE = 0.02
# If their common predictions are this near to the best possible ones, that explains them.
_NEAR = 0.1


def explain(recipe: Recipe, run: Run, trainer: Trainer) -> list[str]:
    """Return the reasons, one a paragraph, for a run of the trainer that did not learn XOR."""
    reasons = [*_state(recipe, run), _alike(recipe, run)]
    if recipe.frozen:
        reasons += [_frozen(recipe, run), _without_freezing(recipe, trainer, len(run.losses))]
    return [reason for reason in reasons if reason]


def format_reasons(reasons: list[str]) -> str:
    """Return paragraphs as a list, at most 80 columns wide."""
    wrapper = textwrap.TextWrapper(80, initial_indent="- ", subsequent_indent="  ")
    wrapper.break_on_hyphens = False
    return "\n".join(wrapper.fill(reason) for reason in reasons)


def listed(words: list[str]) -> str:
    """Return words as a list in a sentence, such as "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def count(number: int, unit: str) -> str:
    """Return a number of units, such as "1 step" or "10,000 steps"."""
    return f"{number:,} {unit}{'s' if number != 1 else ''}"


def gradient_norm(recipe: Recipe, params: Tree, *, frozen: bool = False) -> float:
    """Return the norm of the gradient with respect to the trained parameters, or to the frozen ones."""
    return float(np.linalg.norm(_gradient(recipe, _as_float64(params), frozen=frozen)))


def lowest_curvature(recipe: Recipe, params: Tree) -> float:
    """Return the lowest eigenvalue of the Hessian with respect to the trained parameters."""
    params = _as_float64(params)
    rows = []
    for path, leaf in tree.leaves_with_paths(params):
        if path in recipe.frozen:
            continue
        for place in np.ndindex(leaf.shape):
            step = np.zeros_like(leaf)
            step[place] = _STEP
            ahead = _gradient(recipe, _shifted(params, path, step))
            behind = _gradient(recipe, _shifted(params, path, -step))
            rows.append((ahead - behind) / (2.0 * _STEP))
    hessian = np.stack(rows)
    return float(np.linalg.eigvalsh((hessian + hessian.T) / 2.0)[0])


def _as_float64(params: Tree) -> Tree:
    return tree.map(lambda leaf: leaf.astype(np.float64), params)


def _gradient(recipe: Recipe, params: Tree, *, frozen: bool = False) -> HostArray:
    """Return the gradient as one vector."""
    examples = Examples(INPUTS, TARGETS)
    gradients = value_and_gradients(get_backend("numpy"), recipe.model, recipe.loss, params, examples)[2]
    parts = tree.leaves_with_paths(gradients)
    return np.concatenate([leaf.ravel() for path, leaf in parts if (path in recipe.frozen) == frozen])


def _shifted(params: Tree, where: str, step: HostArray) -> Tree:
    return tree.map_with_paths(lambda path, leaf: leaf + step if path == where else leaf, params)


def _hidden_outputs(recipe: Recipe, run: Run) -> HostArray:
    """Return the outputs (4, units) of the hidden units for the four inputs."""
    hidden, params = Sequential(recipe.model.layers[:2]), _as_float64(run.params[:2])
    outputs: HostArray = hidden.forward(get_backend("numpy"), params, INPUTS)[0]
    return outputs


def _state(recipe: Recipe, run: Run) -> list[str]:
    """Say whether training has come to rest, and where."""
    tail = max(1, len(run.losses) // 10)
    change = run.final_loss / run.losses[-tail] - 1.0
    facts = (
        f"the last {count(tail, 'step')} changed the {recipe.loss_name} by {100 * change:+.2g} %, and "
        f"the norm of the gradient is {gradient_norm(recipe, run.params):.2g}."
    )
    if change <= -_LITTLE or len(run.losses) < _FEW:
        return [f"Training has not come to rest: {facts} More steps may help: see --epochs."]
    if change >= _LITTLE:
        return [f"The loss does not settle: {facts} The steps are too large for the slopes here."]
    return [f"Training has all but stopped: {facts}", _curvature(lowest_curvature(recipe, run.params))]


def _curvature(lowest: float) -> str:
    eigenvalue = f"(lowest eigenvalue of the Hessian: {lowest:.2g})"
    if lowest > 0.0:
        return (
            f"The loss curves upwards in every direction {eigenvalue}. So this is no saddle point; as "
            "far as gradient descent can see from here, it is a poor local minimum."
        )
    return (
        f"The loss curves downwards in some direction {eigenvalue}. So this is a plateau or a saddle "
        "point, which more steps may leave: see --epochs."
    )


def _alike(recipe: Recipe, run: Run) -> str:
    """Name inputs of different targets that the hidden layer hardly tells apart, if there are any."""
    outputs, targets = _hidden_outputs(recipe, run), TARGETS[:, 0]
    differences = np.abs(outputs[:, None] - outputs[None, :]).max(axis=2)
    opposite = [(i, j) for i, j in product(range(4), repeat=2) if targets[i] > targets[j]]
    first, second = min(opposite, key=lambda pair: float(differences[pair]))
    if differences[first, second] > _ALIKE:
        return ""
    group = np.flatnonzero(np.minimum(differences[first], differences[second]) <= _ALIKE).tolist()
    best = targets[group].mean()
    if np.abs(np.array(run.predictions)[group] - best).max() > _NEAR:
        return ""
    return (
        f"The hidden units answer {listed([input_name(i) for i in group])} almost alike (to within "
        f"{differences[np.ix_(group, group)].max():.2g}), though the targets are "
        f"{listed([f'{target:.0f}' for target in targets[group]])}. To the output unit they are nearly "
        f"one input, and the best common answer is {best:.2g}; it answers "
        f"{listed([f'{run.predictions[i]:.3f}' for i in group])}."
    )


def _frozen(recipe: Recipe, run: Run) -> str:
    trained = gradient_norm(recipe, run.params)
    frozen = gradient_norm(recipe, run.params, frozen=True)
    fixed = listed([f"{value:.3f}" for value in _hidden_outputs(recipe, run)[0]])
    return (
        f"The biases are never updated, though the gradient with respect to them has a norm of "
        f"{frozen:.2g}, {frozen / trained:.3g} times that of the weights. For the input 0 0, which "
        f"multiplies every weight by zero, the hidden units therefore gave {fixed} from the first step "
        "to the last."
    )


def _without_freezing(recipe: Recipe, trainer: Trainer, steps: int) -> str:
    """Repeat the run from the same start with every parameter trained, and say what comes of it."""
    free = replace(recipe, frozen=())
    repeated = free.new_trainer(trainer.backend)
    free.start(repeated, trainer.seed)
    run = free.finish(repeated, free.fit(repeated, steps))
    outcome = (
        "learns XOR: what it lacked was the training of its biases."
        if run.learned
        else "does not learn XOR either: the frozen biases are not the only reason."
    )
    return (
        f"With the biases trained as well, the same start comes in {count(steps, 'step')} to a "
        f"{recipe.loss_name} of {run.final_loss:.2g}, and {outcome}"
    )
