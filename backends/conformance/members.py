"""Checks of a backend's members, their signatures, and its namespace."""

import inspect

import numpy as np

from backends.base import Backend
from backends.conformance.base import check, require, require_same

# The functions of the Array API standard 2023.12, without the extensions for linear algebra and Fourier
# transforms; and its dtypes, without the integers that some libraries lack.
NAMES = """
abs acos acosh add all any arange argmax argmin argsort asarray asin asinh astype atan atan2 atanh
bitwise_and bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor bool
broadcast_arrays broadcast_to can_cast ceil clip concat copysign cos cosh cumulative_sum divide e empty
empty_like equal exp expand_dims expm1 eye finfo flip float32 floor floor_divide full full_like greater
greater_equal hypot iinfo inf int32 isdtype isfinite isinf isnan less less_equal linspace log log10
log1p log2 logaddexp logical_and logical_not logical_or logical_xor matmul matrix_transpose max maximum
mean meshgrid min minimum moveaxis multiply nan negative newaxis nonzero not_equal ones ones_like
permute_dims pi positive pow prod remainder repeat reshape result_type roll round searchsorted sign
signbit sin sinh sort sqrt square squeeze stack std subtract sum take tan tanh tensordot tile tril triu
trunc uint8 unstack var vecdot where zeros zeros_like
""".split()  # noqa: SIM905  # a list would be a page long


@check("members", "name, device and version are strings")
def strings(backend: Backend) -> None:
    for member in ("name", "device", "version"):
        value = getattr(backend, member, None)
        require(isinstance(value, str) and value != "", f"a string as {member!r}", repr(value))


def _check_signature(backend: Backend, member: str) -> None:
    """Check that a method takes the contract's arguments by position, in the same order."""
    method = getattr(backend, member)
    require(callable(method), f"a method {member!r}", repr(method))
    wanted = list(inspect.signature(getattr(Backend, member)).parameters.values())[1:]
    signature = inspect.signature(method)
    got = list(signature.parameters)
    swapped = any(p.name in got and got.index(p.name) != i for i, p in enumerate(wanted))
    try:
        signature.bind(*wanted)
        fits = not swapped
    except TypeError:
        fits = False
    arguments = [", ".join(str(p).partition(":")[0] for p in ps) for ps in (wanted, got)]
    require(fits, f"{member}({arguments[0]})", f"{member}({arguments[1]})")


@check("members", "methods take the arguments of the contract")
def signatures(backend: Backend) -> None:
    for member in sorted(Backend.__abstractmethods__ - {"version"}):
        _check_signature(backend, member)


@check("namespace", "xp has the functions of the Array API standard")
def names(backend: Backend) -> None:
    missing = [name for name in NAMES if not hasattr(getattr(backend, "xp", None), name)]
    require(not missing, "all functions of the standard in xp", f"an xp without {', '.join(missing)}")


@check("namespace", "arrays made by xp combine with those of from_numpy")
def device(backend: Backend) -> None:
    xp = backend.xp
    ones = backend.from_numpy(np.ones(3, np.float32))
    total = ones + xp.arange(3, dtype=xp.float32) + xp.zeros(3, dtype=xp.float32) + xp.ones_like(ones)
    require_same(backend.to_numpy(total), np.array([2, 3, 4], np.float32), "1 + [0, 1, 2] + 0 + 1")


@check("namespace", "Python numbers change no dtype")
def python_numbers(backend: Backend) -> None:
    x = backend.from_numpy(np.array([1, 2], np.float32))
    i = backend.from_numpy(np.array([1, 2], np.int32))
    require_same(backend.to_numpy(2.0 * x + 1), np.array([3, 5], np.float32), "2.0 * x + 1")
    require_same(backend.to_numpy(2 * i + 1), np.array([3, 5], np.int32), "2 * i + 1")
    require_same(
        backend.to_numpy(backend.xp.maximum(x, 1.5)), np.array([1.5, 2], np.float32), "maximum(x, 1.5)"
    )


@check("namespace", "int32 wraps around")
def wrapping(backend: Backend) -> None:
    x = np.array([2**31 - 1, -(2**31), 123456789], np.int32)
    with np.errstate(over="ignore"):
        expected = (x + 1, x * 0x7FEB352D, x >> 3)
    own = backend.from_numpy(x)
    got = (own + 1, own * 0x7FEB352D, backend.xp.bitwise_right_shift(own, 3))
    require_same(backend.to_numpy(got), expected, "x + 1, x * 0x7FEB352D and x >> 3")


@check("namespace", "reductions keep float32")
def reductions(backend: Backend) -> None:
    xp = backend.xp
    x = backend.from_numpy(np.array([[1, 2], [3, 6]], np.float32))
    got = (xp.sum(x), xp.mean(x, axis=0), xp.max(x, axis=1, keepdims=True), xp.vecdot(x, x))
    expected = tuple(np.array(e, np.float32) for e in (12, [2, 4], [[2], [6]], [5, 45]))
    require_same(backend.to_numpy(got), expected, "sum, mean, max and vecdot")


@check("sync", "returns the tree that it is given")
def sync(backend: Backend) -> None:
    values = {"a": (np.ones(2, np.float32), None)}
    require_same(backend.to_numpy(backend.sync(backend.from_numpy(values))), values, "sync(tree)")
