"""Expressions with the arithmetic of floats."""

import math
from fractions import Fraction
from functools import cache
from numbers import Integral
from typing import Any

import numpy as np

from experiments.check_gradients.symbolic.errors import UnreachedError
from experiments.check_gradients.symbolic.field import Field, Polynomial
from experiments.check_gradients.symbolic.functions import slope

_TIE = 1e-9
_UNDERFLOW = -750.0


class Expression:
    """A polynomial in the symbols and names of a field.

    Comparisons are decided by the values at the point. So results hold wherever all comparisons have
    the same outcome: in a neighborhood of the point, as ties are errors.

    Attributes:
        field: the field of the symbols and names.
        polynomial: an element of the field's ring.
    """

    __slots__ = ("field", "polynomial")
    __hash__ = None  # type: ignore[assignment]  # equality is decided at the point

    shape = ()
    ndim = 0
    size = 1
    dtype = np.dtype(object)

    def __init__(self, field: Field, polynomial: Polynomial) -> None:
        self.field = field
        self.polynomial = polynomial

    def __repr__(self) -> str:
        return str(self.polynomial)

    def __add__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        if _is_infinite(other):
            return other
        return self._new(self.polynomial + self._polynomial(other))

    __radd__ = __add__

    def __neg__(self) -> "Expression":
        return self._new(-self.polynomial)

    def __pos__(self) -> "Expression":
        return self

    def __sub__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, np.ndarray) else self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self._new(self.field.product(self.polynomial, self._polynomial(other)))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self._new(self.polynomial * self.field.inverse(self._polynomial(other)))

    def __rtruediv__(self, other: Any) -> Any:
        return self._new(self._polynomial(other) * self.field.inverse(self.polynomial))

    def __pow__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        power = self._polynomial(other)
        if power.is_ground:
            exponent = Fraction(power.LC.numerator, power.LC.denominator)
            if exponent.denominator == 1:
                return self._new(self.field.power(self.polynomial, int(exponent)))
            if exponent.denominator == 2:
                return self.sqrt() ** int(2 * exponent)
        return (self.log() * other).exp()

    def __rpow__(self, other: Any) -> Any:
        return self._new(self._polynomial(other)) ** self

    def __abs__(self) -> "Expression":
        return -self if self < 0 else self

    def __lt__(self, other: Any) -> bool:
        return self._compare(other) < 0

    def __gt__(self, other: Any) -> bool:
        return self._compare(other) > 0

    def __le__(self, other: Any) -> bool:
        return self._compare(other) <= 0

    def __ge__(self, other: Any) -> bool:
        return self._compare(other) >= 0

    def __eq__(self, other: object) -> bool:
        return self._compare(other) == 0

    def __ne__(self, other: object) -> bool:
        return self._compare(other) != 0

    def __bool__(self) -> bool:
        return self != 0

    def __float__(self) -> float:
        return self.field.value(self.polynomial)

    def exp(self) -> "Expression":
        """Return e to this power; 0 if a float would underflow, as at masked entries."""
        if float(self) < _UNDERFLOW:
            return lift(self.field, 0)
        return self._new(self.field.exp(self.polynomial))

    def log(self) -> "Expression":
        """Return the natural logarithm."""
        return self._new(self.field.log(self.polynomial))

    def sqrt(self) -> "Expression":
        """Return the square root."""
        return self._new(self.field.root(self.polynomial))

    def expm1(self) -> Any:
        """Return e to this power minus 1."""
        return self.exp() - 1

    def log1p(self) -> Any:
        """Return the natural logarithm of this plus 1."""
        return (self + 1).log()

    def apply(self, function: str) -> "Expression":
        """Return the value of a function of which the field knows only the derivative."""
        return self._new(self.field.named(function, self.polynomial))

    def derivative(self, symbol: "Expression") -> "Expression":
        """Return the partial derivative with respect to a symbol."""
        index = symbol.polynomial.degrees().index(1)
        return self._new(_derivative(self.field, self.polynomial, index))

    def is_zero(self) -> bool:
        """Return whether this is identically zero in a neighborhood of the point."""
        return self.field.is_zero(self.polynomial)

    def _new(self, polynomial: Polynomial) -> "Expression":
        return Expression(self.field, polynomial)

    def _polynomial(self, other: Any) -> Polynomial:
        return lift(self.field, other).polynomial

    def _compare(self, other: Any) -> int:
        if _is_infinite(other):
            return -1 if other > 0 else 1
        difference = (self - other).polynomial
        value = self.field.value(difference)
        if difference.is_ground:
            return (value > 0) - (value < 0)
        if not abs(value) > _TIE:
            raise UnreachedError("a comparison is too close to a tie")
        self.field.comparisons += 1
        return 1 if value > 0 else -1


def new_symbol(field: Field, at: float) -> Expression:
    """Return a new symbol of a field whose value at the point is given."""
    return Expression(field, field.symbol(at))


def lift(field: Field, value: Any) -> Expression:
    """Return a number as an expression; an expression is returned unchanged."""
    if isinstance(value, Expression):
        return value
    return Expression(field, field.constant(as_rational(value)))


def _derivative(field: Field, p: Polynomial, symbol: int) -> Polynomial:
    """Return ∂p / ∂symbol by the chain rule: a name depends on the symbols of its argument."""
    result = field.ring.zero
    for index in field.indices(p):
        if own := _derivative_of_generator(field, index, symbol):
            result += field.product(p.diff(field.ring.gens[index]), own)
    return result


def _derivative_of_generator(field: Field, index: int, symbol: int) -> Polynomial:
    function, argument = field.generators[index][1:]
    if function is None:
        return field.ring.one if index == symbol else field.ring.zero
    if (index, symbol) not in field.derivatives:
        result = _derivative(field, argument, symbol)
        if result:
            name = Expression(field, field.ring.gens[index])
            outer = lift(field, slope(function)(Expression(field, argument), name)).polynomial
            result = field.product(result, outer)
        field.derivatives[index, symbol] = result
    return field.derivatives[index, symbol]


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)


@cache
def rational(value: float) -> Fraction:
    """Return the rational number that a float of the source code means.

    It is the simplest one within rounding (1 / 3 for 0.3333333333333333), else the printed decimal.

    >>> rational(1 - 0.9), rational(1e-5), rational(0.7978845608028654)
    (Fraction(1, 10), Fraction(1, 100000), Fraction(3989422804014327, 5000000000000000))
    """
    if not math.isfinite(value):
        raise UnreachedError(f"expected a finite number, got {value}")
    simplest = Fraction(value).limit_denominator(1_000_000)
    if abs(simplest - Fraction(value)) <= 4 * Fraction(math.ulp(value)):
        return simplest
    return Fraction(repr(float(value)))


def as_rational(value: Any) -> Fraction:
    """Return a number as a rational.

    Raises:
        UnreachedError: the value is not a number.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, Integral | np.bool):
        return Fraction(int(value))
    if isinstance(value, float):
        return rational(float(value))
    raise UnreachedError(f"expected a number, got {value!r}, a {type(value).__name__}")
