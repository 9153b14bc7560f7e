"""The functions of the Array API standard that layers and losses use, on arrays of expressions."""

import math
from collections.abc import Callable
from functools import wraps
from operator import methodcaller
from typing import Any

import numpy as np

from experiments.check_gradients.symbolic.errors import UnreachedError
from experiments.check_gradients.symbolic.expressions import Expression, lift
from experiments.check_gradients.symbolic.field import Field

_FLOAT = np.dtype(object)

# NumPy's functions that move, add, multiply or compare entries work on objects of any type.
_OF_NUMPY = """
    add all any arange argmax argmin asarray bitwise_and bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor bool broadcast_arrays broadcast_to concat cumulative_sum divide
    equal expand_dims flip greater greater_equal inf int8 int16 int32 int64 less less_equal logical_and
    logical_not logical_or logical_xor matmul matrix_transpose max maximum min minimum moveaxis multiply
    negative newaxis not_equal permute_dims pi prod repeat reshape roll square squeeze stack subtract
    sum take take_along_axis tensordot tile tril triu uint8 uint32 unstack where"""


class SymbolicNamespace:
    """Functions on NumPy arrays of `Expression`; arrays of integers and booleans are NumPy's own.

    Attributes:
        field: the field of the expressions.
    """

    float32 = _FLOAT
    float64 = _FLOAT

    def __init__(self, field: Field) -> None:
        self.field = field
        for function in ("exp", "expm1", "log", "log1p", "sqrt"):
            setattr(self, function, self._entrywise(getattr(Expression, function)))
        for function in ("tanh", "sin", "cos", "atan", "normal_cdf"):
            setattr(self, function, self._entrywise(methodcaller("apply", function)))
        self.abs = self._entrywise(abs)
        self.sign = self._entrywise(lambda e: lift(self.field, 0 if e == 0 else 1 if e > 0 else -1))
        self.isnan = lambda x: np.zeros(np.shape(x), bool)
        for function in ("zeros", "ones", "empty", "full"):
            setattr(self, function, self._creating(getattr(np, function)))
        for function in ("zeros_like", "ones_like", "empty_like", "full_like"):
            setattr(self, function, self._creating(getattr(np, function)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in _OF_NUMPY.split():
            raise UnreachedError(f"the function {name} has no symbolic counterpart")
        member = getattr(np, name)
        return member if isinstance(member, type | float | None) else _as_array(member)

    def astype(self, x: Any, dtype: Any, copy: bool = True) -> Any:
        """Return the array with expressions, integers or booleans as entries."""
        x = np.asarray(x)
        if np.dtype(dtype).kind in "fO":
            return self._entrywise(lambda e: e)(x)
        if x.dtype == _FLOAT:
            raise UnreachedError(f"expressions cannot be converted to {dtype}")
        return x.astype(dtype)

    def isdtype(self, dtype: Any, kind: Any) -> bool:
        """Return whether a dtype is of that kind; expressions are real floating numbers."""
        return np.isdtype(np.float64 if dtype == _FLOAT else dtype, kind)

    def finfo(self, dtype: Any) -> Any:
        """Return the limits of float64."""
        return np.finfo(np.float64)

    def mean(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the mean along some axes."""
        total = self.sum(x, axis=axis, keepdims=keepdims)
        return np.asarray(total * (lift(self.field, total.size) / max(x.size, 1)))

    def var(self, x: Any, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
        """Return the variance along some axes."""
        centered = x - self.mean(x, axis=axis, keepdims=True)
        total = self.sum(centered * centered, axis=axis, keepdims=keepdims)
        return np.asarray(total / (x.size / total.size - correction))

    def vecdot(self, x: Any, y: Any, axis: int = -1) -> Any:
        """Return the sum of products along one axis."""
        return self.sum(x * y, axis=axis)

    def logaddexp(self, x: Any, y: Any) -> Any:
        """Return log(exp(x) + exp(y))."""
        larger, smaller = self.maximum(x, y), self.minimum(x, y)
        return larger + self.log1p(self.exp(smaller - larger))

    def pow(self, x: Any, y: Any) -> Any:
        """Return x to the power y."""
        return np.asarray(x**y)

    def clip(self, x: Any, min: Any = None, max: Any = None) -> Any:
        """Return x between two limits."""
        x = x if min is None else self.maximum(x, min)
        return x if max is None else self.minimum(x, max)

    def _entrywise(self, function: Callable[[Expression], Any]) -> Callable[[Any], Any]:
        every = np.frompyfunc(lambda entry: function(self._lift(entry)), 1, 1)
        return lambda x: np.asarray(every(x), dtype=object)

    def _lift(self, entry: Any) -> Any:
        return entry if isinstance(entry, float) and math.isinf(entry) else lift(self.field, entry)

    def _creating(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def create(*arguments: Any, dtype: Any = None, **options: Any) -> Any:
            created = function(*arguments, dtype=dtype, **options)
            return self.astype(created, dtype or created.dtype)

        return create


def _as_array(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with 0-dimensional arrays as results where NumPy returns entries."""

    @wraps(function)
    def on_arrays(*arguments: Any, **options: Any) -> Any:
        result = function(*arguments, **options)
        return np.asarray(result) if isinstance(result, Expression) else result

    return on_arrays
