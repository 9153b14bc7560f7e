"""Convolutions by the libraries' functions, beyond what the checks of conformance cover."""

from typing import Any

import numpy as np
import pytest

from backends import convolution

BOTH = ((1, 1), (1, 1))
CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "one channel": ((3, 8, 9, 1), (3, 5, 1, 6), {"padding": ((1, 0), (2, 1)), "stride": (2, 1)}),
    "three channels": ((8, 6, 7, 3), (3, 3, 3, 2), {"padding": BOTH, "dilation": (2, 1)}),
    "few channels, less than the images": ((2, 6, 9, 2), (1, 2, 2, 4), {"padding": ((0, -1), (-1, -2))}),
    "few channels with a stride": ((2, 7, 7, 2), (3, 3, 2, 4), {"stride": (2, 2)}),
    "unused rows at the end": ((2, 8, 8, 4), (2, 2, 4, 3), {"stride": (3, 3)}),
    "one channel, one window across": ((2, 5, 3, 1), (1, 2, 1, 16), {"stride": (1, 2)}),
    "groups in several products": ((2, 5, 5, 72), (3, 3, 12, 6), {"groups": 6, "padding": BOTH}),
    "groups with a stride": ((2, 6, 6, 6), (3, 3, 2, 9), {"groups": 3, "stride": (2, 2)}),
    "more removed than there is": ((2, 2, 3, 4), (3, 3, 4, 2), {"padding": ((-3, 5), (6, -4))}),
    "no images": ((0, 6, 6, 1), (3, 3, 1, 4), {"padding": BOTH}),
    "one window": ((1, 3, 3, 5), (3, 3, 5, 2), {}),
}
DEFAULTS = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_functions_of_a_library_compute_the_default_composition(backend, case, dtype):
    shape, kernel, options = CASES[case]
    x, weights, dy = _arrays(shape, kernel, options, dtype)
    rest = DEFAULTS | options
    y = convolution.convolve(np, x, weights, spread=(1, 1), **rest)
    dW = convolution.convolve_weights(np, x, dy, kernel[:2], **rest)
    with backend.precision(dtype):
        x, weights, dy = backend.from_numpy((x, weights, dy))
        came = (
            backend.convolve(x, weights, **options),
            backend.convolve_weights(x, dy, kernel[:2], **options),
        )
        came = backend.to_numpy(came)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(came[0], y, tolerance, tolerance * np.abs(y).max(initial=0.0))
    np.testing.assert_allclose(came[1], dW, tolerance, tolerance * np.abs(dW).max())


@pytest.mark.parametrize("case", CASES)
def test_jax_computes_the_same_by_xla_alone_as_on_accelerators(case):
    jax_convolution = pytest.importorskip("backends.jax_convolution")
    shape, kernel, options = CASES[case]
    x, weights, dy = _arrays(shape, kernel, options, "float32")
    rest = DEFAULTS | options
    y = convolution.convolve(np, x, weights, spread=(1, 1), **rest)
    dW = convolution.convolve_weights(np, x, dy, kernel[:2], **rest)
    came = jax_convolution.convolve(x, weights, spread=(1, 1), **rest)
    np.testing.assert_allclose(came, y, 1e-5, 1e-4)
    came = jax_convolution.convolve_weights(x, dy, kernel[:2], **rest)
    np.testing.assert_allclose(came, dW, 1e-5, 1e-4)


def _arrays(shape: Any, kernel: Any, options: dict[str, Any], dtype: str) -> Any:
    """Return x, weights, and a dy of the shape of y."""
    generator = np.random.default_rng(0)
    x, weights = (generator.standard_normal(each).astype(dtype) for each in (shape, kernel))
    y = convolution.convolve(np, x, weights, spread=(1, 1), **DEFAULTS | options)
    return x, weights, generator.standard_normal(y.shape).astype(dtype)
