"""NumPy's convolutions against sums over the places of windows, written out."""

import numpy as np
import pytest

from backends import get_backend, numpy_convolution, threads
from backends.numpy_convolution import products

NUMPY = get_backend("numpy:eager")
convolve, convolve_weights = NUMPY.convolve, NUMPY.convolve_weights
DEFAULTS = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}

# name: (x, kernel (height, width, filters), options)
CASES = {
    "one window": ((2, 3, 3, 2), (3, 3, 4), {}),
    "few channels": ((2, 9, 12, 1), (3, 3, 2), {}),
    "a prime number of outputs": ((2, 9, 15, 2), (3, 3, 40), {}),
    "padded": ((3, 6, 7, 8), (3, 3, 16), {"padding": ((1, 1), (1, 1))}),
    "padded on one side": ((2, 6, 7, 3), (3, 2, 16), {"padding": ((0, 3), (2, 0))}),
    "only padding in a row of windows": ((2, 3, 4, 3), (2, 2, 4), {"padding": ((4, 5), (3, 3))}),
    "negative padding": ((2, 8, 9, 3), (3, 3, 4), {"padding": ((-1, 1), (2, -2))}),
    "strides": ((2, 9, 11, 4), (3, 3, 16), {"stride": (2, 1), "padding": ((1, 1), (1, 1))}),
    "strides in a band": ((2, 9, 13, 1), (3, 2, 2), {"stride": (1, 3)}),
    "strides longer than the kernel": ((2, 9, 11, 4), (2, 2, 5), {"stride": (3, 4)}),
    "dilated": ((2, 9, 11, 4), (3, 3, 5), {"dilation": (2, 3)}),
    "dilated in a band": ((2, 9, 14, 1), (3, 2, 2), {"dilation": (1, 2)}),
    "groups": ((3, 6, 7, 12), (3, 3, 8), {"groups": 4, "padding": ((1, 1), (1, 1))}),
    "groups, strides": ((3, 9, 7, 12), (3, 3, 8), {"groups": 4, "stride": (2, 2)}),
    "depthwise": ((3, 6, 7, 5), (3, 3, 5), {"groups": 5, "padding": ((1, 1), (1, 1))}),
    "depthwise, two filters each": ((3, 6, 7, 5), (3, 3, 10), {"groups": 5, "stride": (1, 2)}),
    "kernel 1x1": ((2, 4, 5, 6), (1, 1, 7), {}),
    "kernel 1x1, strides": ((2, 4, 5, 6), (1, 1, 7), {"stride": (2, 2)}),
    "sequences": ((3, 1, 20, 4), (1, 3, 6), {"padding": ((0, 0), (2, 0)), "dilation": (1, 2)}),
    "one column": ((3, 20, 1, 4), (3, 1, 6), {}),
    "no outputs": ((3, 2, 5, 4), (3, 3, 6), {}),
    "no images": ((0, 4, 5, 4), (3, 3, 6), {}),
    "long windows": ((2, 4, 5, 80), (3, 3, 30), {"padding": ((1, 1), (1, 1))}),
    "a window of a prime number": ((1, 1, 2, 1201), (1, 1, 3), {}),
    "many weights": ((2, 4, 5, 64), (3, 3, 120), {}),
    "many images": ((40, 12, 12, 16), (3, 3, 16), {"padding": ((1, 1), (1, 1))}),
    "a large image": ((1, 130, 140, 9), (3, 3, 16), {"padding": ((1, 1), (1, 1))}),
    "a large image, strides": ((1, 270, 280, 9), (3, 3, 16), {"stride": (2, 2)}),
}
SPREAD_CASES = {
    "spread": ((2, 4, 5, 3), (3, 3, 6), {"spread": (2, 2), "padding": ((1, 2), (2, 1))}),
    "spread, depthwise": ((2, 4, 5, 3), (3, 3, 3), {"spread": (2, 3), "groups": 3}),
    "spread, dilated": ((2, 4, 5, 3), (3, 3, 6), {"spread": (2, 3), "dilation": (2, 2)}),
    "spread, strides": ((2, 4, 5, 3), (3, 3, 6), {"spread": (4, 3), "stride": (2, 2)}),
    "spread over the kernel": (
        (2, 4, 5, 3),
        (2, 1, 6),
        {"spread": (3, 3), "padding": ((1, 1), (-1, 2))},
    ),
    "spread, no images": ((2, 0, 5, 3), (2, 2, 6), {"spread": (2, 2), "padding": ((2, 1), (0, 0))}),
}


@pytest.fixture(autouse=True, params=[True, False], ids=["small products", "large products"])
def has_small_kernels(request, monkeypatch):
    """Let BLAS have, or not have, kernels for small products."""
    monkeypatch.setattr(products, "has_small_kernels", lambda: request.param)


def make(shape, kernel, options, dtype="float64"):
    """Return x and weights."""
    rng = np.random.default_rng(0)
    height, width, filters = kernel
    size = (height, width, shape[3] // options.get("groups", 1), filters)
    return rng.normal(size=shape).astype(dtype), rng.normal(size=size).astype(dtype)


def windows_of(
    x, size, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), spread=(1, 1), groups=1
):
    """Return the entries of all windows, (batch, rows, columns, *size, channels)."""
    for axis in (0, 1):
        length = max(0, (x.shape[axis + 1] - 1) * spread[axis] + 1) + sum(
            max(p, 0) for p in padding[axis]
        )
        X = np.zeros((*x.shape[: axis + 1], length, *x.shape[axis + 2 :]), x.dtype)
        before, after = padding[axis]
        np.moveaxis(X, axis + 1, 0)[max(before, 0) : length - max(after, 0) : spread[axis]] = (
            np.moveaxis(x, axis + 1, 0)
        )
        x = np.moveaxis(
            np.moveaxis(X, axis + 1, 0)[max(-before, 0) : length - max(-after, 0)], 0, axis + 1
        )
    extents = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    rows, columns = (
        max(0, (n - e) // s + 1) for n, e, s in zip(x.shape[1:3], extents, stride, strict=True)
    )
    P = np.zeros((len(x), rows, columns, *size, x.shape[3]), x.dtype)
    for h, w in np.ndindex(rows, columns):
        top, left = h * stride[0], w * stride[1]
        P[:, h, w] = x[:, top : top + extents[0] : dilation[0], left : left + extents[1] : dilation[1]]
    return P.reshape(*P.shape[:-1], groups, x.shape[3] // groups)


def expected(x, weights, options):
    P = windows_of(x, weights.shape[:2], **options)
    W = weights.reshape(*weights.shape[:3], options.get("groups", 1), -1)
    y = np.einsum("nhwijgc,ijcgf->nhwgf", P, W, optimize=True)
    return y.reshape(*y.shape[:3], weights.shape[3])


@pytest.mark.parametrize("case", CASES | SPREAD_CASES)
def test_y_is_the_sum_over_the_places_of_windows(case):
    x, weights = make(*(CASES | SPREAD_CASES)[case])
    options = (CASES | SPREAD_CASES)[case][2]
    np.testing.assert_allclose(
        convolve(x, weights, **options), expected(x, weights, options), rtol=1e-9, atol=1e-9, strict=True
    )


@pytest.mark.parametrize("case", CASES)
def test_the_gradient_of_the_weights_is_the_sum_over_the_windows(case):
    x, weights = make(*CASES[case])
    options = CASES[case][2]
    P = windows_of(x, weights.shape[:2], **options)
    dy = np.random.default_rng(1).normal(size=(*P.shape[:3], weights.shape[3]))
    dY = dy.reshape(*dy.shape[:3], P.shape[5], dy.shape[3] // P.shape[5])
    dW = np.einsum("nhwijgc,nhwgf->ijcgf", P, dY, optimize=True).reshape(weights.shape)
    np.testing.assert_allclose(
        convolve_weights(x, dy, weights.shape[:2], **options), dW, rtol=1e-9, atol=1e-9, strict=True
    )


@pytest.mark.parametrize("case", ["few channels", "padded", "strides", "groups", "depthwise", "spread"])
def test_the_order_of_axes_in_memory_changes_no_bit(case):
    x, weights = make(*(CASES | SPREAD_CASES)[case])
    options = dict((CASES | SPREAD_CASES)[case][2])
    channels_first = np.ascontiguousarray(x.transpose(3, 1, 2, 0)).transpose(3, 1, 2, 0)
    y = convolve(x, weights, **options)
    turned = np.ascontiguousarray(weights[::-1, ::-1])[::-1, ::-1]
    np.testing.assert_array_equal(convolve(channels_first, turned, **options), y)
    if options.pop("spread", None) is None:
        dW = convolve_weights(x, y, weights.shape[:2], **options)
        first = np.ascontiguousarray(y.transpose(3, 1, 2, 0)).transpose(3, 1, 2, 0)
        np.testing.assert_array_equal(
            convolve_weights(channels_first, first, weights.shape[:2], **options), dW
        )


@pytest.mark.parametrize("case", ["many images", "a large image"])
def test_the_bits_do_not_depend_on_the_number_of_threads(case, monkeypatch):
    x, weights = make(*CASES[case], dtype="float32")
    options = CASES[case][2]

    def both():
        y = convolve(x, weights, **options)
        return y, convolve_weights(x, y, weights.shape[:2], **options)

    monkeypatch.setattr(threads, "thread_count", lambda: 1)
    one = both()
    monkeypatch.setattr(threads, "thread_count", lambda: 3)
    for several, single in zip(both(), one, strict=True):
        np.testing.assert_array_equal(several, single)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("case", ["few channels", "strides in a band", "depthwise", "spread", "groups"])
def test_nan_and_infinity_reach_only_the_outputs_whose_windows_contain_them(case, value):
    x, weights = make(*(CASES | SPREAD_CASES)[case])
    options = (CASES | SPREAD_CASES)[case][2]
    x[0, 2, 3, 0] = value
    with np.errstate(invalid="ignore"):
        reached = ~np.isfinite(expected(x, weights, options))
        y = convolve(x, weights, **options)
    assert 0 < reached.sum() < reached.size
    np.testing.assert_array_equal(~np.isfinite(y), reached)


@pytest.mark.parametrize("case", ["few channels", "padded on one side", "groups", "strides"])
def test_nan_reaches_only_the_weights_that_meet_it(case):
    x, weights = make(*CASES[case])
    options = CASES[case][2]
    x[0, 0, 1, 0] = np.nan
    P = windows_of(x, weights.shape[:2], **options)
    dy = np.ones((*P.shape[:3], weights.shape[3]))
    reached = np.isnan(P).any(axis=(0, 1, 2)).transpose(0, 1, 3, 2)  # (height, width, channels, groups)
    reached = np.repeat(reached, weights.shape[3] // P.shape[5], axis=3)
    assert 0 < reached.sum() < reached.size
    with np.errstate(invalid="ignore"):
        dW = convolve_weights(x, dy, weights.shape[:2], **options)
    np.testing.assert_array_equal(np.isnan(dW), reached)


@pytest.mark.parametrize("case", ["few channels", "kernel 1x1", "depthwise", "long windows"])
def test_results_are_written_to_out_whatever_its_rows_are_apart(case):
    x, weights = make(*CASES[case])
    options = CASES[case][2]
    y = convolve(x, weights, **options)
    wide = np.full((*y.shape[:2], 2 * y.shape[2], y.shape[3]), 9.0)
    given = DEFAULTS | options
    own = numpy_convolution.convolve(x, weights, **given, spread=(1, 1), out=wide[:, :, ::2])
    assert np.shares_memory(own, wide)
    np.testing.assert_allclose(wide[:, :, ::2], y, rtol=1e-12, atol=1e-12)
    assert (wide[:, :, 1::2] == 9.0).all()
    dW = np.empty_like(weights)
    own = numpy_convolution.convolve_weights(x, y, weights.shape[:2], **given, out=dW)
    assert own is dW
    np.testing.assert_array_equal(dW, convolve_weights(x, y, weights.shape[:2], **options))
