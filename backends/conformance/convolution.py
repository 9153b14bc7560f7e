"""Checks of convolutions against plain loops; small whole numbers, so the results are exact."""

from itertools import product
from typing import Any

import numpy as np

from backends.base import Backend
from backends.conformance.base import Check, check, has_float64, require_same

_IMAGES, _KERNEL = (2, 6, 7, 4), (3, 2, 4, 6)  # (batch, height, width, channels), and the weights
_DEFAULTS: dict[str, Any] = {
    "stride": (1, 1),
    "padding": ((0, 0), (0, 0)),
    "dilation": (1, 1),
    "spread": (1, 1),
    "groups": 1,
}
_CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "no padding": (_IMAGES, _KERNEL, {}),
    "stride and padding": (_IMAGES, _KERNEL, {"stride": (2, 3), "padding": ((1, 2), (0, 3))}),
    "dilation": (_IMAGES, _KERNEL, {"dilation": (2, 3), "padding": ((2, 2), (1, 1))}),
    "negative padding": (_IMAGES, _KERNEL, {"padding": ((-1, 0), (2, -2))}),
    "spread": (_IMAGES, _KERNEL, {"spread": (2, 3), "padding": ((1, -1), (0, 2)), "stride": (1, 2)}),
    "groups": (_IMAGES, (3, 2, 2, 6), {"groups": 2, "stride": (1, 2), "padding": ((1, 1), (1, 1))}),
    "a group for each channel": (_IMAGES, (3, 3, 1, 8), {"groups": 4, "padding": ((1, 1), (1, 1))}),
    "a kernel of one": (_IMAGES, (1, 1, 4, 6), {"stride": (2, 2)}),
    "sequences": ((2, 1, 9, 4), (1, 3, 4, 6), {"padding": ((0, 0), (2, 0)), "dilation": (1, 2)}),
    "a kernel as large as the images": (_IMAGES, (6, 7, 4, 6), {}),
}


def _numbers(shape: tuple[int, ...], seed: int) -> Any:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


def _padded(x: Any, padding: Any, spread: Any) -> Any:
    """Return X of `Backend.convolve`, written entry by entry."""
    batch, height, width, channels = x.shape
    down, across = spread
    (top, bottom), (left, right) = padding
    rows, columns = (height - 1) * down + 1 + top + bottom, (width - 1) * across + 1 + left + right
    X = np.zeros((batch, rows, columns, channels), x.dtype)
    for i, j in product(range(height), range(width)):
        row, column = i * down + top, j * across + left
        if 0 <= row < rows and 0 <= column < columns:
            X[:, row, column] = x[:, i, j]
    return X


def _places(X: Any, size: Any, stride: Any, dilation: Any) -> Any:
    """Yield each place of a window with the rows and columns of X there."""
    axes = zip(X.shape[1:3], size, stride, dilation, strict=True)
    counts = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in axes]
    for i, j in product(range(size[0]), range(size[1])):
        rows = np.arange(counts[0]) * stride[0] + i * dilation[0]
        columns = np.arange(counts[1]) * stride[1] + j * dilation[1]
        yield i, j, X[:, rows][:, :, columns]


def _expected(x: Any, weights: Any, dy_seed: int, options: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Return y, some dy of its shape, and the gradient of the weights."""
    *size, inputs, filters = weights.shape
    X = _padded(x, options["padding"], options["spread"])
    places = list(_places(X, size, options["stride"], options["dilation"]))
    y = np.zeros((*places[0][2].shape[:3], filters), x.dtype)
    dy, dW = _numbers(y.shape, dy_seed), np.zeros_like(weights)
    for i, j, entries in places:
        for f in range(filters):
            first = f // (filters // options["groups"]) * inputs
            own = entries[..., first : first + inputs]
            y[..., f] += own @ weights[i, j, :, f]
            dW[i, j, :, f] = np.tensordot(own, dy[..., f], axes=([0, 1, 2], [0, 1, 2]))
    return y, dy, dW


def _check_case(name: str) -> Check:
    shape, kernel, given = _CASES[name]
    options = _DEFAULTS | given

    @check("convolve", name)
    def run(backend: Backend) -> None:
        x, weights = _numbers(shape, 0), _numbers(kernel, 1)
        y, dy, dW = _expected(x, weights, 2, options)
        of_weights = {key: value for key, value in given.items() if key != "spread"}

        def both(x: Any, weights: Any, dy: Any) -> Any:
            own = backend.convolve(x, weights, **given)
            if options["spread"] != (1, 1):
                return own, None
            return own, backend.convolve_weights(x, dy, (kernel[0], kernel[1]), **of_weights)

        for dtype in ["float32", "float64"] if has_float64(backend) else ["float32"]:
            with backend.precision(dtype):
                arguments = backend.from_numpy(tuple(each.astype(dtype) for each in (x, weights, dy)))
                expected = y.astype(dtype), None if options["spread"] != (1, 1) else dW.astype(dtype)
                came = backend.to_numpy(both(*arguments))
                require_same(came, expected, f"convolve and convolve_weights in {dtype}")
                compiled = backend.jit(both, *arguments)
                require_same(backend.to_numpy(compiled(*arguments)), expected, f"compiled, in {dtype}")

    return run


CONVOLUTIONS = [_check_case(name) for name in _CASES]
