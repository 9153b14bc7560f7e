"""The solver L-BFGS-B of SciPy on the loss over all examples."""

import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from sklearn.exceptions import ConvergenceWarning

from backends import Array, HostArray, Tree, tree
from multinn.host.progress import progress
from multinn.sklearn.epochs import NOT_FINITE
from multinn.sklearn.network import penalized_paths
from multinn.sklearn.scipy_threads import scipy_in_one_thread
from multinn.sklearn.trainer import PenalizedProgram, PenalizedTrainer
from multinn.training.examples import PlacedExamples
from multinn.training.program import Examples

_FAILED: Final = 2  # the status of SciPy's result if no step along a direction lowers the loss


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
    """Minimize the loss with the penalty a / (2 n) Σ W².

    The gradient is exact, also for several outputs. Ctrl-C ends with the last complete iteration.
    Source: R. H. Byrd, P. Lu, J. Nocedal and C. Zhu, A limited memory algorithm for bound constrained
    optimization, SIAM Journal on Scientific Computing 16, 1995.

    A loss that overflows within a line search is no error, as SciPy then tries a shorter step.

    Args:
        trainer: its parameters are the start, and are replaced by the minimum.
        examples: the training examples.
        strength: a.
        max_iter: the maximum number of iterations.
        max_fun: the maximum number of evaluations of the loss.
        tol: stop when no entry of the gradient is larger.
        verbose: whether to show progress.

    Returns:
        The number of iterations, the loss, and whether the solver converged.

    Raises:
        ValueError: the loss, its gradient or the first direction is not finite, or the result is not.
            The trainer holds the parameters of the last complete iteration, which are finite.
    """
    backend, dtype = trainer.backend, trainer.dtype
    start = backend.to_numpy(trainer.params)
    paths = {f"{path}.W" for path in penalized_paths(trainer.program.model)}
    penalty = _flatten(
        tree.map_with_paths(lambda path, leaf: np.full(leaf.shape, float(path in paths)), start)
    )
    penalty *= strength / len(examples.host.x)
    data = examples.data

    with backend.precision(dtype), progress(max_iter, "iteration", verbose) as advance:
        last, iterations = _flatten(start), 0
        objective = trainer.programs.get(
            _objective_of_vector(trainer.program, start), backend.from_numpy(last.astype(dtype)), data
        )

        def value_and_gradient(flat: HostArray) -> tuple[float, HostArray]:
            vector = backend.from_numpy(flat.astype(dtype, copy=False))
            value, gradient = backend.to_numpy(objective(vector, data))
            of_penalty = penalty * flat
            return float(value) + 0.5 * float(of_penalty @ flat), gradient + of_penalty

        def record(intermediate_result: OptimizeResult) -> None:  # SciPy requires this name
            nonlocal last, iterations
            last, iterations = intermediate_result.x.copy(), iterations + 1
            advance(1, {"loss": float(intermediate_result.fun)})

        problem: Warning | None = None
        diverged = False
        try:
            with scipy_in_one_thread():
                result = minimize(
                    value_and_gradient,
                    last,
                    jac=True,
                    method="L-BFGS-B",
                    callback=record,
                    options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol},
                )
            # After a line search that failed, result.fun is not the loss at result.x.
            loss = value_and_gradient(result.x)[0] if result.status == _FAILED else float(result.fun)
            stuck = result.nit == 0 and not np.isfinite(result.fun)
            diverged = stuck or not np.isfinite(loss)
            if not diverged:
                last, iterations = result.x, int(result.nit)
            if result.status:
                problem = ConvergenceWarning(
                    f"lbfgs failed to converge after {iterations} iteration(s) "
                    f"(status={result.status}): {result.message}. Increase max_iter or max_fun, or "
                    "scale the data"
                )
        except KeyboardInterrupt:
            loss, problem = value_and_gradient(last)[0], UserWarning("Training interrupted by user.")
        params = backend.from_numpy(_unflatten(np, last.astype(dtype), start))
        trainer.state = trainer.state._replace(params=params)
    if diverged:
        raise ValueError(
            f"{NOT_FINITE} In detail: lbfgs diverged: the loss or its gradient became NaN or infinite "
            f"after {iterations} iteration(s). The estimator holds the last finite parameters. Scale "
            "X, and y of a regressor, to about 1"
        )
    if problem is not None:
        warnings.warn(problem, stacklevel=5)
    return min(iterations, max_iter), loss, problem is None


def _objective_of_vector(
    program: PenalizedProgram, params: Tree
) -> Callable[[Array, Examples], tuple[Array, Array]]:
    """Return the program's objective as a function of one vector, with the gradient as one vector.

    Args:
        program: the program, on its backend.
        params: NumPy arrays in the structure and the shapes of the parameters.
    """
    xp = program.backend.xp
    like = tree.map(lambda leaf: np.broadcast_to(leaf.dtype.type(0), leaf.shape), params)  # no memory

    def objective(flat: Array, examples: Examples) -> tuple[Array, Array]:
        value, gradients = program.objective(_unflatten(xp, flat, like), examples)
        return value, xp.concat([xp.reshape(leaf, (-1,)) for leaf in tree.leaves(gradients)])

    return objective


def _flatten(arrays: Any) -> HostArray:
    return np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in tree.leaves(arrays)])


def _unflatten(xp: Any, flat: Array, like: Tree) -> Tree:
    """Return the entries of a vector as a tree of arrays with the shapes of ``like``."""
    parts, start = {}, 0
    for path, leaf in tree.leaves_with_paths(like):
        parts[path] = flat[start : start + leaf.size]
        start += leaf.size
    return tree.map_with_paths(lambda path, leaf: xp.reshape(parts[path], leaf.shape), like)
