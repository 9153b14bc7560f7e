"""Functions that the Array API standard lacks, composed of functions that it has.

``backend`` is the backend of the other arguments. Results have the shape and dtype of ``x`` unless
stated otherwise. No function overflows as long as the differences between the entries of an array are
finite.
"""

import math
from functools import cache
from itertools import zip_longest

from backends import Array, Backend, Tree

# Chebyshev coefficients of log(erfc(z) / t) + z² in 2t - 1, where t = 2 / (2 + z) and z >= 0, fitted in
# 40-digit arithmetic. The form is from W. H. Press et al., Numerical Recipes, section 6.2.2.
_ERFC_COEFFICIENTS = (
    -0.651326859890854717, 0.64196979235649026, 0.0194764732041858363, -0.00956151478680863164,
    -0.000946595344482036866, 0.000366839497852761452, 4.25233248069077716e-5,
    -2.02785781125342432e-5, -1.62429000464702551e-6, 1.3036558355805232e-6,
    1.56264417220661432e-8, -8.52380959149265425e-8, 6.5290544390988515e-9,
    5.05934349555146894e-9, -9.91364156493033087e-10, -2.27365122293183586e-10,
    9.6467911020155268e-11, 2.39403808303911474e-12, -6.8860275264975534e-12,
    8.94487927309072572e-13, 3.13092139934295808e-13, -1.12708223613672524e-13,
    3.81090525518923207e-16, 7.10609761360923694e-15,
)  # fmt: skip

# B_2k / (2k (2k - 1)) of the Bernoulli numbers, k from 1: Stirling's series.
_STIRLING_COEFFICIENTS = (
    1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360360.0, 1.0 / 156.0,
)  # fmt: skip

_NORMAL_ENDS = 40.0  # from here on φ and the tail of Φ are 0; its square does not overflow


def sigmoid(backend: Backend, x: Array) -> Array:
    """Return 1 / (1 + exp(-x)) = exp(x) / (1 + exp(x)), where exp(x) is 0 or finite for every x."""
    xp = backend.xp
    growth = xp.exp(xp.minimum(x, _largest_exponent(backend, x)))
    return growth / (1.0 + growth)


def silu(backend: Backend, x: Array) -> tuple[Array, Array]:
    """Return x / (1 + exp(-x)), and 1 / (1 + exp(-x))."""
    xp = backend.xp
    x = xp.maximum(x, -_largest_exponent(backend, x))  # where x = -∞, x s would be NaN
    s = 1.0 / (1.0 + xp.exp(-x))
    return x * s, s


def _largest_exponent(backend: Backend, x: Array) -> float:
    """Return the largest integer whose exponential is finite: 88 in float32 and 709 in float64."""
    return float(math.floor(math.log(backend.xp.finfo(x.dtype).max)))


def softplus(backend: Backend, x: Array) -> Array:
    """Return log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))."""
    xp = backend.xp
    return xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


def log_sigmoid(backend: Backend, x: Array) -> Array:
    """Return log(1 / (1 + exp(-x))) = min(x, 0) - log(1 + exp(-|x|))."""
    xp = backend.xp
    return xp.minimum(x, 0.0) - xp.log1p(xp.exp(-xp.abs(x)))


def sum_of_columns(backend: Backend, x: Array) -> Array:
    """Return the sum along the last axis, which keeps length 1."""
    return backend.sum_of_columns(x)


def softmax(backend: Backend, x: Array) -> Array:
    """Return exp(x) / sum(exp(x)) along the last axis, shifted by the maximum."""
    xp = backend.xp
    exponentials = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return exponentials / sum_of_columns(backend, exponentials)


def softmax_parts(backend: Backend, x: Array) -> tuple[Array, Array, Array]:
    """Return p = softmax(x) along the last axis, and z and s (..., 1) with log(p) = z - s.

    z is x shifted by the maximum, and s the logarithm of the sum of exp(z).
    """
    xp = backend.xp
    shifted = x - xp.max(x, axis=-1, keepdims=True)
    exponentials = xp.exp(shifted)
    total = xp.sum(exponentials, axis=-1, keepdims=True)
    return exponentials / total, shifted, xp.log(total)


def masked_softmax(backend: Backend, x: Array, hidden: Array) -> Array:
    """Return the softmax over the entries that are not hidden; hidden entries of any value give 0.

    A row whose entries are all hidden gives zeros.

    Args:
        backend: the backend of the arrays.
        x: entries that count, below about 1e37 in float32.
        hidden: booleans that broadcast to the shape of ``x``.
    """
    xp = backend.xp
    lowest = -0.25 * float(xp.finfo(x.dtype).max)
    x = xp.where(hidden, xp.full_like(x[..., :1], lowest), x)
    # Where all entries are hidden, this bound keeps the exponentials, and so their sum, at 0.
    largest = xp.maximum(xp.max(x, axis=-1, keepdims=True), 0.5 * lowest)
    exponentials = xp.exp(x - largest)
    return exponentials / xp.maximum(sum_of_columns(backend, exponentials), 0.5)


def logsumexp(backend: Backend, x: Array) -> Array:
    """Return log(sum(exp(x))), shifted by the maximum. The sum removes the last axis."""
    xp = backend.xp
    largest = xp.max(x, axis=-1, keepdims=True)
    total = xp.sum(xp.exp(x - largest), axis=-1)
    return xp.log(total) + xp.squeeze(largest, axis=-1)


def log_softmax(backend: Backend, x: Array) -> Array:
    """Return log(softmax(x)) = x - logsumexp(x) along the last axis, shifted by the maximum."""
    _, shifted, log_total = softmax_parts(backend, x)
    return shifted - log_total


def one_hot(backend: Backend, labels: Array, classes: int, like: Array) -> Array:
    """Return one-hot vectors (..., classes).

    Args:
        backend: the backend of the arrays.
        labels: (...) integers in [0, classes).
        classes: the number of classes.
        like: an array; the result takes its dtype.
    """
    return backend.xp.astype(is_class(backend, labels, classes), like.dtype)


def is_class(backend: Backend, labels: Array, classes: int) -> Array:
    """Return one-hot vectors (..., classes) of booleans, for labels as in `one_hot`."""
    return labels[..., None] == backend.xp.arange(classes, dtype=labels.dtype)


def counted(backend: Backend, values: Array, weights: Array) -> Array:
    """Return the values that count, and 0 where the weight is 0.

    The product with the weights is then 0 there, even if the value is infinite or NaN, where the product
    of the value and 0 would be NaN.

    Args:
        backend: the backend of the arrays.
        values: any floats.
        weights: floats whose shape broadcasts with that of the values.
    """
    return backend.xp.where(weights != 0.0, values, weights)


def aligned(backend: Backend, weights: Array, values: Array) -> Array:
    """Return weights with as many axes as the values: the axes that are missing at the end get length 1.

    Args:
        backend: the backend of the arrays.
        weights: (batch, ...), in the shape of the first axes of the values.
        values: (batch, ...).

    Raises:
        ValueError: the shape of the weights is another one.
    """
    if weights.shape != values.shape[: weights.ndim]:
        raise ValueError(
            f"weights: expected the shape of the first axes of {tuple(values.shape)}, got "
            f"{tuple(weights.shape)}"
        )
    return backend.xp.reshape(weights, (*weights.shape, *(1,) * (values.ndim - weights.ndim)))


def example_weights(backend: Backend, weights: Tree) -> Array:
    """Return the weight of each example, (batch,): the mean of the weights of its entries.

    Args:
        backend: the backend of the arrays.
        weights: (batch,), the weights of the examples themselves; (batch, ...), those of entries; or a
            dict or a tuple of such arrays, one for each head, whose mean counts.
    """
    if isinstance(weights, dict | tuple):
        parts = weights.values() if isinstance(weights, dict) else weights
        heads = [example_weights(backend, part) for part in parts]
        return sum(heads[1:], start=heads[0]) * (1.0 / len(heads))
    if weights.ndim == 1:
        return weights
    return backend.xp.mean(weights, axis=tuple(range(1, weights.ndim)))


def head_shares(backend: Backend, weights: Tree) -> dict[str | int, Array]:
    """Return W_k / W by key: the sum of the examples' weights for each head, divided by their mean.

    If all weights are 0, it is 0.

    Args:
        backend: the backend of the arrays.
        weights: a dict or a tuple, as for `example_weights`.
    """
    xp = backend.xp
    keys = weights if isinstance(weights, dict) else range(len(weights))
    sums = {key: xp.sum(example_weights(backend, weights[key])) for key in keys}
    first, *others = sums.values()
    mean = sum(others, start=first) * (1.0 / len(sums))
    divisor = xp.maximum(mean, float(xp.finfo(mean.dtype).smallest_normal))
    return {key: own / divisor for key, own in sums.items()}


def product(backend: Backend, factors: Array, values: Array) -> Array:
    """Return factors · values, with 0 · ∞ = 0. So 0 log 0 = 0, as by convention.

    Where a value is NaN, the result is the factor: something else has to keep the NaN visible.
    """
    products = factors * values
    return backend.xp.where(backend.xp.isnan(products), factors, products)


def shares(backend: Backend, counted: Array, like: Array) -> Array:
    """Return the weights that turn the sum over an example's values into the mean of the counted ones.

    Args:
        backend: the backend of the arrays.
        counted: (batch, ...) booleans.
        like: an array; the result takes its dtype.

    Returns:
        (batch, ...): 1 / (the number of counted values of the example) where a value counts, else 0.
    """
    xp = backend.xp
    ones = xp.astype(counted, like.dtype)
    number = xp.sum(ones, axis=tuple(range(1, ones.ndim)), keepdims=True)
    return ones / xp.maximum(number, 1.0)


def normal_cdf(backend: Backend, x: Array) -> Array:
    """Return Φ(x), the cumulative distribution of the standard normal.

    The absolute error is of the size of the dtype's rounding. The relative error grows in the far left
    tail, where exp(-z²) loses digits.

    Φ(x) = erfc(-x / √2) / 2. For z = |x| / √2 and t = 2 / (2 + z), the complementary error function is
    erfc(z) = t exp(-z² + P(2t - 1)), where P is a Chebyshev series, here in powers, by Horner's rule.
    """
    xp = backend.xp
    z = xp.minimum(xp.abs(x), _NORMAL_ENDS) * math.sqrt(0.5)
    twice_t = 4.0 / (2.0 + z)
    u = twice_t - 1.0
    *others, highest = _powers(float(xp.finfo(x.dtype).eps))
    series = highest * u + others.pop()
    for coefficient in reversed(others):
        series = series * u + coefficient
    tail = 0.25 * twice_t * xp.exp(series - z * z)
    # The same as where(x < 0, tail, 1 - tail), which NumPy computes slowly if the signs are random.
    return xp.abs(xp.astype(x >= 0.0, x.dtype) - tail)


def _coefficients(precision: float) -> list[float]:
    """Return the leading coefficients; the sum of the dropped ones is far below the precision."""
    coefficients = list(_ERFC_COEFFICIENTS)
    dropped = 0.0
    while dropped + abs(coefficients[-1]) < precision / 16.0:
        dropped += abs(coefficients.pop())
    return coefficients


@cache
def _powers(precision: float) -> tuple[float, ...]:
    """Return the coefficients of the powers of u in Σ_k c_k T_k(u): T_k+1 = 2 u T_k - T_k-1.

    The c_k are those of `_coefficients`.
    """
    coefficients = _coefficients(precision)
    result = [0.0] * len(coefficients)
    before, current = [0.0, 1.0], [1.0]  # T_-1 = T_1 = u
    for coefficient in coefficients:
        for power, factor in enumerate(current):
            result[power] += coefficient * factor
        shifted = [0.0, *(2.0 * factor for factor in current)]
        before, current = (
            current,
            [own - other for own, other in zip_longest(shifted, before, fillvalue=0.0)],
        )
    return tuple(result)


def normal_pdf(backend: Backend, x: Array) -> Array:
    """Return φ(x) = exp(-x² / 2) / √(2π), the density of the standard normal."""
    xp = backend.xp
    distance = xp.minimum(xp.abs(x), _NORMAL_ENDS)
    return xp.exp(-0.5 * distance * distance) * (1.0 / math.sqrt(2.0 * math.pi))


def log_factorial(backend: Backend, x: Array) -> Array:
    """Return log(x!) = log Γ(x + 1) for x >= 0, not only for integers.

    The absolute error is that of rounding numbers between 10 and 40; for large x, that of the result.

    Stirling's series log Γ(y) = (y - 1/2) log y - y + log(2π) / 2 + 1 / (12 y) - 1 / (360 y³) + ... is
    exact to rounding for y >= 8. For smaller y, Γ(x + 1) = Γ(x + 8) / ((x + 1) (x + 2) ... (x + 7)).
    """
    xp = backend.xp
    is_small = x < 7.0
    small = xp.minimum(x, 7.0)
    product = xp.ones_like(x)
    for i in range(1, 8):
        product = product * (small + float(i))
    y = xp.where(is_small, x + 8.0, x + 1.0)
    series = xp.zeros_like(y)
    for coefficient in reversed(_STIRLING_COEFFICIENTS):
        series = series / (y * y) + coefficient
    log_gamma = (y - 0.5) * xp.log(y) - y + 0.5 * math.log(2.0 * math.pi) + series / y
    return xp.where(is_small, log_gamma - xp.log(product), log_gamma)
