"""The optimizers' formulas from their sources, in NumPy, on one vector of all parameters."""

from collections.abc import Callable, Iterable, Sequence

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
    rate: Callable[[int], float],
    beta_1: float,
    beta_2: float,
    epsilon: float,
    decay: float = 0.0,
    *,
    amsgrad: bool = False,
) -> Reference:
    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        m, v, largest = np.zeros_like(theta), np.zeros_like(theta), np.zeros_like(theta)
        for t, g in enumerate(gradients, start=1):
            m = beta_1 * m + (1.0 - beta_1) * g
            v = beta_2 * v + (1.0 - beta_2) * g**2
            largest = np.maximum(largest, v)
            m_hat = m / (1.0 - beta_1**t)
            v_hat = (largest if amsgrad else v) / (1.0 - beta_2**t)
            eta = rate(t - 1)
            theta = theta - eta * m_hat / (np.sqrt(v_hat) + epsilon) - eta * decay * theta
        return theta

    return run


def radam(rate: float, beta_1: float, beta_2: float, epsilon: float, decay: float = 0.0) -> Reference:
    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        m, v, longest = np.zeros_like(theta), np.zeros_like(theta), 2.0 / (1.0 - beta_2) - 1.0
        for t, g in enumerate(gradients, start=1):
            m = beta_1 * m + (1.0 - beta_1) * g
            v = beta_2 * v + (1.0 - beta_2) * g**2
            step = m / (1.0 - beta_1**t)
            rho = longest - 2.0 * t * beta_2**t / (1.0 - beta_2**t)
            if rho > 5.0:
                r = (rho - 4.0) * (rho - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * rho)
                step = np.sqrt(r * (1.0 - beta_2**t)) * step / (np.sqrt(v) + epsilon)
            theta = theta - rate * step - rate * decay * theta
        return theta

    return run


def adadelta(rate: float, rho: float, epsilon: float, decay: float = 0.0) -> Reference:
    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        mean_of_g, mean_of_steps = np.zeros_like(theta), np.zeros_like(theta)
        for g in gradients:
            mean_of_g = rho * mean_of_g + (1.0 - rho) * g**2
            step = -np.sqrt(mean_of_steps + epsilon) / np.sqrt(mean_of_g + epsilon) * g
            mean_of_steps = rho * mean_of_steps + (1.0 - rho) * step**2
            theta = theta + rate * step - rate * decay * theta
        return theta

    return run


def nadam(
    rate: float, beta_1: float, beta_2: float, epsilon: float, psi: float, decay: float = 0.0
) -> Reference:
    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        m, v, product = np.zeros_like(theta), np.zeros_like(theta), 1.0
        for t, g in enumerate(gradients, start=1):
            mu, next_mu = (beta_1 * (1.0 - 0.5 * 0.96 ** (i * psi)) for i in (t, t + 1))
            product *= mu
            m = beta_1 * m + (1.0 - beta_1) * g
            v = beta_2 * v + (1.0 - beta_2) * g**2
            m_hat = next_mu * m / (1.0 - product * next_mu) + (1.0 - mu) * g / (1.0 - product)
            v_hat = v / (1.0 - beta_2**t)
            theta = theta - rate * m_hat / (np.sqrt(v_hat) + epsilon) - rate * decay * theta
        return theta

    return run


def lion(rate: Callable[[int], float], beta_1: float, beta_2: float, decay: float = 0.0) -> Reference:
    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        m = np.zeros_like(theta)
        for done, g in enumerate(gradients):
            c = beta_1 * m + (1.0 - beta_1) * g
            theta = theta - rate(done) * (np.sign(c) + decay * theta)
            m = beta_2 * m + (1.0 - beta_2) * g
        return theta

    return run


def lamb(
    rate: Callable[[int], float],
    beta_1: float,
    beta_2: float,
    epsilon: float,
    decay: float = 0.0,
    *,
    ends: Sequence[int],
) -> Reference:
    """Return LAMB on a vector of arrays that end at the offsets ``ends``, and at its end."""

    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        m, v = np.zeros_like(theta), np.zeros_like(theta)
        for t, g in enumerate(gradients, start=1):
            m = beta_1 * m + (1.0 - beta_1) * g
            v = beta_2 * v + (1.0 - beta_2) * g**2
            r = m / (1.0 - beta_1**t) / (np.sqrt(v / (1.0 - beta_2**t)) + epsilon)
            u = r + decay * theta
            arrays = zip(np.split(theta, ends), np.split(u, ends), strict=True)
            theta = np.concatenate(
                [p - rate(t - 1) * np.linalg.norm(p) / np.linalg.norm(d) * d for p, d in arrays]
            )
        return theta

    return run


def lars(
    rate: Callable[[int], float],
    momentum: float,
    decay: float = 0.0,
    trust: float = 0.001,
    *,
    ends: Sequence[int],
) -> Reference:
    """Return LARS on a vector of arrays that end at the offsets ``ends``, and at its end."""

    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        v = np.zeros_like(theta)
        for done, g in enumerate(gradients):
            u = g + decay * theta
            arrays = zip(np.split(theta, ends), np.split(u, ends), strict=True)
            scaled = [trust * np.linalg.norm(p) / np.linalg.norm(d) * d for p, d in arrays]
            v = momentum * v + np.concatenate(scaled)
            theta = theta - rate(done) * v
        return theta

    return run


def accumulated(reference: Reference, steps: int) -> Reference:
    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        gradients = list(gradients)
        whole = len(gradients) // steps * steps
        means = [np.mean(gradients[i : i + steps], axis=0) for i in range(0, whole, steps)]
        return reference(theta, means)

    return run


def averages(reference: Reference, decay: float, theta: Vector, gradients: Sequence[Vector]) -> Vector:
    """Return the bias-corrected moving average of a reference's parameters."""
    total = np.zeros_like(theta)
    for t in range(1, len(gradients) + 1):
        total = decay * total + (1.0 - decay) * reference(theta, gradients[:t])
    return total / (1.0 - decay ** len(gradients))


def clipped(reference: Reference, max_norm: float) -> Reference:
    def run(theta: Vector, gradients: Iterable[Vector]) -> Vector:
        norms = [np.linalg.norm(g) for g in gradients]
        scaled = [g * min(1.0, max_norm / n) for g, n in zip(gradients, norms, strict=True)]
        return reference(theta, scaled)

    return run
