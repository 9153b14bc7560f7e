"""Functions that the Array API standard lacks, each a short composition of functions that it has.

Arrays are of the backend that is handed over; results have the shape and dtype of ``x`` unless said
otherwise. None of them overflows, however large the input, as long as the differences between entries
of one array are finite.
"""

import math

from backends import Array, Backend

# Chebyshev coefficients of log(erfc(z) / t) + z² in 2t - 1, where t = 2 / (2 + z) and z >= 0: our own
# fit in 40-digit arithmetic. The form is that of W. H. Press et al., Numerical Recipes, section 6.2.2.
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

_NORMAL_ENDS = 40.0  # φ and the tail of Φ are 0 from there on, and x² does not overflow


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


def softmax(backend: Backend, x: Array) -> Array:
    """Return exp(x) / sum(exp(x)) along the last axis, shifted by the maximum."""
    xp = backend.xp
    exponentials = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return exponentials / xp.sum(exponentials, axis=-1, keepdims=True)


def masked_softmax(backend: Backend, x: Array, hidden: Array) -> Array:
    """Return softmax(x) over what is not hidden: 0 where it is, and in rows of which everything is.

    Args:
        backend: whose arrays the others are.
        x: entries below about 1e37 in float32.
        hidden: booleans of the shape of ``x``, or of one that broadcasts to it.
    """
    xp = backend.xp
    lowest = -0.25 * float(xp.finfo(x.dtype).max)
    x = x + xp.astype(hidden, x.dtype) * lowest
    # Where all is hidden, no largest number brings the entries back up, and their sum is not 1 or more.
    largest = xp.maximum(xp.max(x, axis=-1, keepdims=True), 0.5 * lowest)
    exponentials = xp.exp(x - largest)
    return exponentials / xp.maximum(xp.sum(exponentials, axis=-1, keepdims=True), 0.5)


def logsumexp(backend: Backend, x: Array) -> Array:
    """Return log(sum(exp(x))) along the last axis, which the result lacks, shifted by the maximum."""
    xp = backend.xp
    largest = xp.max(x, axis=-1, keepdims=True)
    total = xp.sum(xp.exp(x - largest), axis=-1)
    return xp.log(total) + xp.squeeze(largest, axis=-1)


def log_softmax(backend: Backend, x: Array) -> Array:
    """Return log(softmax(x)) = x - logsumexp(x) along the last axis, shifted by the maximum."""
    xp = backend.xp
    shifted = x - xp.max(x, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def one_hot(backend: Backend, labels: Array, classes: int, like: Array) -> Array:
    """Return (..., classes) zeros and ones in the dtype of ``like``: one where the label is.

    Args:
        backend: whose arrays the others are.
        labels: (...) integers in [0, classes).
        classes: how many there are.
        like: an array whose dtype the result takes.
    """
    xp = backend.xp
    every_class = xp.arange(classes, dtype=labels.dtype)
    return xp.astype(labels[..., None] == every_class, like.dtype)


def shares(backend: Backend, counted: Array, like: Array) -> Array:
    """Return by what to multiply values, so that their sums are means over what counts.

    Args:
        backend: whose arrays the others are.
        counted: (batch, ...) booleans.
        like: an array whose dtype the result takes.

    Returns:
        (batch, ...): of each example, 1 / (how many count) where one counts, and 0 elsewhere.
    """
    xp = backend.xp
    ones = xp.astype(counted, like.dtype)
    numbers = xp.sum(ones, axis=tuple(range(1, ones.ndim)), keepdims=True)
    return ones / xp.maximum(numbers, 1.0)


def normal_cdf(backend: Backend, x: Array) -> Array:
    """Return Φ(x), the cumulative distribution of the standard normal.

    The absolute error is that of the dtype's rounding; far out to the left, exp(-z²) costs digits.

    Φ(x) = erfc(-x / √2) / 2, and for z = |x| / √2 and t = 2 / (2 + z) the complementary error function
    is erfc(z) = t exp(-z² + P(t)), where P is a Chebyshev series summed by Clenshaw's recurrence.
    """
    xp = backend.xp
    z = xp.minimum(xp.abs(x), _NORMAL_ENDS) * math.sqrt(0.5)
    t = 2.0 / (2.0 + z)
    argument = 2.0 * t - 1.0
    twice = 2.0 * argument
    first, *others = _coefficients(xp.finfo(x.dtype).eps)
    current, previous = 0.0 * z + others[-1], 0.0 * z
    for coefficient in reversed(others[:-1]):
        current, previous = twice * current - previous + coefficient, current
    series = argument * current - previous + first
    tail = 0.5 * t * xp.exp(series - z * z)
    # The bits of where(x < 0, tail, 1 - tail), at which NumPy is slow when the signs are random.
    is_right = xp.astype(x >= 0.0, x.dtype)
    return is_right + (1.0 - 2.0 * is_right) * tail


def _coefficients(precision: float) -> list[float]:
    """Return the first coefficients, up to where all that follow are far below that precision."""
    coefficients = list(_ERFC_COEFFICIENTS)
    dropped = 0.0
    while dropped + abs(coefficients[-1]) < precision / 16.0:
        dropped += abs(coefficients.pop())
    return coefficients


def normal_pdf(backend: Backend, x: Array) -> Array:
    """Return φ(x) = exp(-x² / 2) / √(2π), the density of the standard normal."""
    xp = backend.xp
    distance = xp.minimum(xp.abs(x), _NORMAL_ENDS)
    return xp.exp(-0.5 * distance * distance) * (1.0 / math.sqrt(2.0 * math.pi))


def log_factorial(backend: Backend, x: Array) -> Array:
    """Return log(x!) = log Γ(x + 1) for x >= 0, whole or not.

    The error is that of the rounding of numbers of some tens, and for large x of the result.

    By Stirling's series, log Γ(y) = (y - 1/2) log y - y + log(2π) / 2 + 1 / (12 y) - 1 / (360 y³) + ...,
    which is exact to rounding from y = 8 on; below, Γ(x + 1) = Γ(x + 8) / ((x + 1) (x + 2) ... (x + 7)).
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
