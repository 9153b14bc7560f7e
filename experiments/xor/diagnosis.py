"""Why a network did not learn XOR, as its last parameters show.

Gradients and curvatures are those of the loss that the recipe minimizes, computed by NumPy in float64,
whatever the run used.

For the seeds of the two published runs more is known: 1,000,000 steps do not learn XOR either. The
weights keep growing while the loss falls, ever more slowly, towards 1/8 (notebook) and 0.189
(classroom): the poor local minimum lies at infinity.
"""

from dataclasses import replace
from itertools import product

import numpy as np

from backends import HostArray, Tree, get_backend, tree
from experiments.xor.recipes import INPUTS, TARGETS, Recipe, Run, input_name
from multinn import Examples, Sequential, Trainer, value_and_gradients

# Central differences of the gradient: an error of about 1e-10, where curvatures are above 1e-6.
_STEP = 1e-5
# Training has nearly stopped if the last tenth of the steps changed the loss by a smaller share.
_SMALL_CHANGE = 0.01
# The last tenth of fewer steps than this says little.
_FEW_STEPS = 1000
# Two inputs are alike to the hidden layer if the outputs of each hidden unit differ by less than this.
_ALIKE = 0.02
# Alike inputs explain predictions that are this near to the best common answer.
_NEAR = 0.1


def explain(recipe: Recipe, run: Run, trainer: Trainer) -> list[str]:
    """Return the reasons why a run of the trainer did not learn XOR, each a paragraph."""
    reasons = [*_convergence(recipe, run), _alike_inputs(recipe, run)]
    if recipe.frozen:
        reasons += [_frozen(recipe, run), _without_freezing(recipe, trainer, len(run.losses))]
    return [reason for reason in reasons if reason]


def listed(words: list[str]) -> str:
    """Join words for a sentence, such as "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def count(number: int, unit: str) -> str:
    """Return a number with its unit, such as "1 step" or "10,000 steps"."""
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
    """Return the gradient as a vector."""
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


def _convergence(recipe: Recipe, run: Run) -> list[str]:
    """Say whether training has converged, and to which kind of point."""
    tail = max(1, len(run.losses) // 10)
    change = run.final_loss / run.losses[-tail] - 1.0
    facts = (
        f"the last {count(tail, 'step')} changed the {recipe.loss_name} by {100 * change:+.2g} %, and "
        f"the norm of the gradient is {gradient_norm(recipe, run.params):.2g}."
    )
    if change <= -_SMALL_CHANGE or len(run.losses) < _FEW_STEPS:
        return [f"Training has not converged: {facts} More steps may help: see --epochs."]
    if change >= _SMALL_CHANGE:
        return [f"The loss jumps up and down: {facts} The steps are too large for the slopes here."]
    return [f"Training has nearly stopped: {facts}", _curvature(lowest_curvature(recipe, run.params))]


def _curvature(lowest: float) -> str:
    eigenvalue = f"(lowest eigenvalue of the Hessian: {lowest:.2g})"
    if lowest > 0.0:
        return (
            f"The loss curves upwards in every direction {eigenvalue}. So this is no saddle point; "
            "gradient descent sees a poor local minimum here."
        )
    return (
        f"The loss curves downwards in some direction {eigenvalue}. So this is a plateau or a saddle "
        "point, which more steps may leave: see --epochs."
    )


def _alike_inputs(recipe: Recipe, run: Run) -> str:
    """Name inputs of different targets that the hidden layer hardly distinguishes, if there are any."""
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
        f"the same input, whose best common answer is {best:.2g}; it answers "
        f"{listed([f'{run.predictions[i]:.3f}' for i in group])}."
    )


def _frozen(recipe: Recipe, run: Run) -> str:
    trained = gradient_norm(recipe, run.params)
    frozen = gradient_norm(recipe, run.params, frozen=True)
    fixed = listed([f"{value:.3f}" for value in _hidden_outputs(recipe, run)[0]])
    return (
        f"The biases are never updated, though the gradient with respect to them has a norm of "
        f"{frozen:.2g}, {frozen / trained:.3g} times that of the weights. The input 0 0 multiplies all "
        f"weights by zero: for it, the hidden units gave {fixed} from the first step to the last."
    )


def _without_freezing(recipe: Recipe, trainer: Trainer, steps: int) -> str:
    """Repeat the run from the same start with every parameter trained, and describe its outcome."""
    free = replace(recipe, frozen=())
    repeated = free.new_trainer(trainer.backend)
    free.start(repeated, trainer.seed)
    run = free.finish(repeated, free.fit(repeated, steps))
    outcome = (
        "learns XOR: only the training of the biases was missing."
        if run.learned
        else "does not learn XOR either: the frozen biases are not the only reason."
    )
    return (
        f"If the biases are trained as well, the same start reaches in {count(steps, 'step')} a "
        f"{recipe.loss_name} of {run.final_loss:.2g}, and {outcome}"
    )
