"""The solver L-BFGS-B of SciPy on the loss over all examples."""

import warnings
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from sklearn.exceptions import ConvergenceWarning

from backends import HostArray, tree
from multinn.host.progress import progress
from multinn.sklearn.trainer import PenalizedTrainer
from multinn.training.examples import PlacedExamples


def minimize_loss(
    trainer: PenalizedTrainer,
    examples: PlacedExamples,
    strength: float,
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    verbose: bool,
) -> tuple[int, float, bool]:
    """Minimize the loss with its penalty, a / (2 n) Σ W².

    Returns the number of iterations, the loss, and whether it is at its minimum.

    The gradient is that of the very loss, also for several outputs. Ctrl-C ends it after the last whole
    iteration.
    Source: R. H. Byrd, P. Lu, J. Nocedal and C. Zhu, A limited memory algorithm for bound constrained
    optimization, SIAM Journal on Scientific Computing 16, 1995.

    Args:
        trainer: whose parameters are the start, and become the minimum.
        examples: to learn from.
        strength: a.
        max_iter: the most iterations.
        max_fun: the most evaluations of the loss.
        tol: the gradient's largest entry at which it stops.
        verbose: whether progress is shown.
    """
    backend, dtype = trainer.backend, trainer.dtype
    start = backend.to_numpy(trainer.params)
    penalized = _flat(tree.map_with_paths(_is_weight(trainer), start))
    data, scale = examples.data, strength / len(examples.host.x)

    with backend.precision(dtype), progress(max_iter, "iteration", verbose) as advance:
        objective = trainer.programs.get(trainer.program.objective, trainer.params, data)

        def value_and_gradient(flat: HostArray) -> tuple[float, HostArray]:
            params = backend.from_numpy(_unflat(flat, start))
            value, gradients = backend.to_numpy(objective(params, data))
            weights = flat * penalized
            loss = float(value) + 0.5 * scale * float(weights @ weights)
            return loss, _flat(gradients) + scale * weights

        last, iterations = _flat(start), 0

        def see(intermediate_result: OptimizeResult) -> None:  # SciPy knows it by this name
            nonlocal last, iterations
            last, iterations = intermediate_result.x.copy(), iterations + 1
            advance(1, {"loss": float(intermediate_result.fun)})

        try:
            result = minimize(
                value_and_gradient,
                _flat(start),
                jac=True,
                method="L-BFGS-B",
                callback=see,
                options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol},
            )
            last, iterations, loss = result.x, int(result.nit), float(result.fun)
            problem = _problem(result) if result.status else None
        except KeyboardInterrupt:
            loss, problem = value_and_gradient(last)[0], UserWarning("Training interrupted by user.")
        found = _unflat(last, start)
        trainer.state = trainer.state._replace(params=backend.from_numpy(found))
    if problem:
        warnings.warn(problem, stacklevel=5)
    return min(iterations, max_iter), loss, problem is None


def _problem(result: Any) -> Warning:
    warning: Warning = ConvergenceWarning(
        f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}): "
        f"{result.message}. Increase max_iter or max_fun, or scale the data"
    )
    return warning


def _is_weight(trainer: PenalizedTrainer) -> Any:
    """Return a function that gives ones for W of a dense layer, and zeros for all else."""
    names = {f"{place}.W" for place in trainer.places}
    return lambda path, leaf: np.full(leaf.shape, float(path in names))


def _flat(arrays: Any) -> HostArray:
    return np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in tree.leaves(arrays)])


def _unflat(flat: HostArray, like: Any) -> Any:
    """Return the numbers in arrays of these shapes and dtypes."""
    places, start = {}, 0
    for path, leaf in tree.leaves_with_paths(like):
        places[path] = flat[start : start + leaf.size]
        start += leaf.size
    return tree.map_with_paths(
        lambda path, leaf: places[path].reshape(leaf.shape).astype(leaf.dtype), like
    )
