"""The formulas of the optimizers' sources, in plain NumPy on one vector of all parameters."""

from collections.abc import Callable, Iterable

import numpy as np

Vector = np.ndarray
Reference = Callable[[Vector, Iterable[Vector]], Vector]


def always(rate: float) -> Callable[[int], float]:
    return lambda done: rate


def sgd(
    rate: Callable[[int], float], momentum: float = 0.0, nesterov: bool = False, decay: float = 0.0
) -> Reference:
    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        v = np.zeros_like(theta)
        for done, g in enumerate(gradients):
            v = momentum * v + g
            step = g + momentum * v if nesterov else v
            theta = theta - rate(done) * step - rate(done) * decay * theta
        return theta

    return run


def adagrad(rate: float, epsilon: float, decay: float = 0.0) -> Reference:
    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        s = np.zeros_like(theta)
        for g in gradients:
            s = s + g**2
            theta = theta - rate * g / (np.sqrt(s) + epsilon) - rate * decay * theta
        return theta

    return run


def rmsprop(rate: float, rho: float, epsilon: float, decay: float = 0.0) -> Reference:
    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        s = np.zeros_like(theta)
        for g in gradients:
            s = rho * s + (1.0 - rho) * g**2
            theta = theta - rate * g / (np.sqrt(s) + epsilon) - rate * decay * theta
        return theta

    return run


def adam(
    rate: Callable[[int], float], beta_1: float, beta_2: float, epsilon: float, decay: float = 0.0
) -> Reference:
    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        m, v = np.zeros_like(theta), np.zeros_like(theta)
        for t, g in enumerate(gradients, start=1):
            m = beta_1 * m + (1.0 - beta_1) * g
            v = beta_2 * v + (1.0 - beta_2) * g**2
            m_hat, v_hat = m / (1.0 - beta_1**t), v / (1.0 - beta_2**t)
            eta = rate(t - 1)
            theta = theta - eta * m_hat / (np.sqrt(v_hat) + epsilon) - eta * decay * theta
        return theta

    return run


def clipped(reference: Reference, max_norm: float) -> Reference:
    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        norms = [np.linalg.norm(g) for g in gradients]
        scaled = [g * min(1.0, max_norm / n) for g, n in zip(gradients, norms, strict=True)]
        return reference(theta, scaled)

    return run
