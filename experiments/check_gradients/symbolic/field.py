"""A field of expressions that can decide whether an expression is identically zero.

An expression is a polynomial with rational coefficients, in SymPy's ring, of *symbols* and *names*. A
name is the value of a function of a polynomial of symbols and earlier names, such as e = exp(a), or
r = 1 / a, the name with r a = 1. So every result of a layer is a polynomial. Derivatives follow from
SymPy's partial derivatives of polynomials and SymPy's derivative of each function. An identity holds if
a polynomial is zero after each 1 / a and 1 / √a is multiplied away.
Names are treated as independent of one another. If they are not, a true identity may remain unproved,
but a proved identity is always true.
Source: M. Bronstein, Symbolic integration I, 2005, chapter 3 (differential fields).
"""

from collections.abc import Iterator
from operator import add, ge, sub
from typing import Any, NamedTuple

from experiments.check_gradients.symbolic.errors import FullError, UnreachedError
from experiments.check_gradients.symbolic.functions import (
    INVERSE,
    INVERSE_ROOT,
    numeric,
    polynomial_ring,
)

Polynomial = Any  # SymPy's; mypy does not know its types

_MOST_WORK = 300_000
_TINY = 1e-12


class Generator(NamedTuple):
    """A symbol, or the name of a function of a polynomial.

    Attributes:
        at: the value at the point.
        function: the name of the function; None for a symbol.
        argument: the argument of the function.
    """

    at: float
    function: str | None = None
    argument: Polynomial = None


class Field:
    """A field of symbols and names.

    Attributes:
        ring: SymPy's ring of polynomials, with ``capacity`` generators.
        generators: the generators in use.
        comparisons: the number of comparisons that were decided at the point.
        work: the number of products of terms that were computed.
        derivatives: a cache of the derivatives of generators, by (generator, symbol).
    """

    def __init__(self, capacity: int) -> None:
        self.ring = polynomial_ring(capacity)
        self.generators: list[Generator] = []
        self.comparisons = 0
        self.work = 0
        self._known: dict[tuple[str, Polynomial], Polynomial] = {}
        self._exponents: dict[Polynomial, tuple[Polynomial, Any]] = {}
        self.derivatives: dict[tuple[int, int], Polynomial] = {}

    def symbol(self, at: float) -> Polynomial:
        """Return a new symbol whose value at the point is given."""
        return self._add(Generator(at))

    def constant(self, value: Any) -> Polynomial:
        """Return a rational number as a polynomial."""
        return self.ring.ground_new(self.ring.domain(value.numerator, value.denominator))

    def indices(self, p: Polynomial) -> list[int]:
        """Return the generators that occur in a polynomial, in ascending order."""
        return [index for index, degree in enumerate(p.degrees()) if degree > 0]

    def value(self, p: Polynomial) -> float:
        """Return the value of a polynomial at the point."""
        total = 0.0
        for exponents, coefficient in p.terms():
            product = float(coefficient)
            for generator, exponent in zip(self.generators, exponents, strict=False):
                if exponent:
                    product *= generator.at**exponent
            total += product
        return total

    def named(self, function: str, argument: Polynomial) -> Polynomial:
        """Return the name of a function of a polynomial: the same for the same polynomial."""
        key = (function, argument)
        if key not in self._known:
            try:
                at = numeric(function)(self.value(argument))
            except (ArithmeticError, ValueError) as error:
                raise UnreachedError(f"{function} has no value at the point") from error
            self._known[key] = self._add(Generator(at, function, argument))
        return self._known[key]

    def inverse(self, p: Polynomial) -> Polynomial:
        """Return 1 / p; only factors of p that are no powers of generators get new names."""
        if not abs(self.value(p)) > _TINY:
            raise UnreachedError("a division by a number that is 0 or almost 0 at the point")
        if p.is_ground:
            return self.constant(1 / p.LC)
        if (INVERSE, p) not in self._known:
            numerator, denominator = self._fraction(p)
            exponents, rest = self._common_factors(numerator)
            result = denominator * (1 / rest.LC)
            for index, exponent in self._factors(exponents):
                result = self.product(result, self.power(self._inverse_of_generator(index), exponent))
            rest = rest.monic()
            self._known[INVERSE, p] = result if rest == 1 else result * self.named(INVERSE, rest)
        return self._known[INVERSE, p]

    def product(self, p: Polynomial, q: Polynomial) -> Polynomial:
        """Return p q.

        Raises:
            UnreachedError: the limit of work is exceeded.
        """
        self._count(len(p) * len(q))
        return p * q

    def power(self, p: Polynomial, exponent: int) -> Polynomial:
        """Return p to an integer power."""
        base, result = p if exponent >= 0 else self.inverse(p), self.ring.one
        for _ in range(abs(exponent)):
            result = self.product(result, base)
        return result

    def root(self, p: Polynomial) -> Polynomial:
        """Return √p as p (1 / √p)."""
        if not self.value(p) > 0.0:
            raise UnreachedError("a square root of a number that is not positive")
        inverse_root = self.named(INVERSE_ROOT, p)
        self._known.setdefault((INVERSE, p), inverse_root**2)
        self._known.setdefault((INVERSE, p * inverse_root), inverse_root)
        return p * inverse_root

    def exp(self, p: Polynomial) -> Polynomial:
        """Return e to the power p: e^(k log a) becomes aᵏ, and a sum of symbols becomes a product."""
        result, rest = self.ring.one, p
        for exponents, coefficient in p.terms():
            factors = self._factors(exponents)
            if len(factors) == 1 and factors[0][1] == 1 and coefficient.denominator == 1:
                function, argument = self.generators[factors[0][0]][1:]
                if function == "log":
                    result *= self.power(argument, int(coefficient))
                    rest -= self.ring.term_new(exponents, coefficient)
        return self.product(result, self._exponential(rest)) if rest else result

    def _exponential(self, p: Polynomial) -> Polynomial:
        integers = all(coefficient.denominator == 1 for coefficient in p.itercoeffs())
        if integers and all(sum(exponents) == 1 for exponents in p.itermonoms()):
            result = self.ring.one
            for exponents, coefficient in p.terms():
                factor = self.named("exp", self.ring.term_new(exponents, self.ring.domain.one))
                result = self.product(result, self.power(factor, int(coefficient)))
            return result
        base = p.monic()
        if base not in self._exponents:
            self._exponents[base] = self.named("exp", p), p.LC
        exponential, own = self._exponents[base]
        ratio = p.LC / own
        return self.power(exponential, int(ratio)) if ratio.denominator == 1 else self.named("exp", p)

    def log(self, p: Polynomial) -> Polynomial:
        """Return the logarithm of p; exponentials and quotients in p become sums."""
        if not self.value(p) > 0.0:
            raise UnreachedError("a logarithm of a number that is not positive")
        numerator, exponents_of_inverses = p, []
        for index in reversed(self.indices(p)):
            generator = self.generators[index]
            if generator.function == INVERSE and self._is_exponential(generator.argument):
                degree = numerator.degree(self.ring.gens[index])
                numerator = self._multiplied_away(numerator, index)
                exponents_of_inverses.append((generator.argument, -degree))
        exponents, rest = self._common_factors(numerator)
        total = self.ring.zero
        for factor, exponent in exponents_of_inverses:
            total += exponent * self.log(factor)
        for index, exponent in self._factors(exponents):
            generator, name = self.generators[index], self.ring.gens[index]
            if generator.function == "exp":
                total += exponent * generator.argument
            elif generator.function == INVERSE and generator.at > 0:
                total -= exponent * self.log(generator.argument)
            else:
                rest *= name**exponent
        return total if rest == 1 else total + self.named("log", rest)

    def is_zero(self, p: Polynomial) -> bool:
        """Return whether p is identically zero if names are independent of one another."""
        p = self._reduced(p)
        for index in reversed(self.indices(p)):
            if self.generators[index].function == INVERSE:
                return self.is_zero(self._multiplied_away(p, index))
            if self.generators[index].function == INVERSE_ROOT:
                return all(self.is_zero(part) for part in self._without_root(p, index))
        return not p

    def _add(self, generator: Generator) -> Polynomial:
        if len(self.generators) == self.ring.ngens:
            raise FullError
        self.generators.append(generator)
        return self.ring.gens[len(self.generators) - 1]

    def _count(self, products: int) -> None:
        self.work += products
        if self.work > _MOST_WORK:
            raise UnreachedError(f"it takes more than {_MOST_WORK:,} products of terms")

    def _factors(self, exponents: tuple[int, ...]) -> list[tuple[int, int]]:
        return [(index, exponent) for index, exponent in enumerate(exponents) if exponent]

    def _common_factors(self, p: Polynomial) -> tuple[tuple[int, ...], Polynomial]:
        """Return the exponents of the largest product that divides p, and the quotient."""
        exponents = tuple(map(min, zip(*p.itermonoms(), strict=True)))
        return exponents, p.quo_term((exponents, self.ring.domain.one))

    def _is_exponential(self, p: Polynomial) -> bool:
        return p.is_generator and self.generators[self.indices(p)[0]].function == "exp"

    def _inverse_of_generator(self, index: int) -> Polynomial:
        generator, name = self.generators[index], self.ring.gens[index]
        if generator.function == INVERSE:
            return generator.argument
        if generator.function == INVERSE_ROOT:
            return generator.argument * name
        return self.named(INVERSE, name)

    def _fraction(self, p: Polynomial) -> tuple[Polynomial, Polynomial]:
        """Return p as a fraction of polynomials without names of 1 / a."""
        denominator = self.ring.one
        for index in reversed(range(len(self.generators))):
            if self.generators[index].function == INVERSE:
                degree = max(p.degree(self.ring.gens[index]), 0)
                p = self._multiplied_away(p, index)
                factor = self.power(self.generators[index].argument, degree)
                denominator = self.product(denominator, factor)
        return p, denominator

    def _multiplied_away(self, p: Polynomial, index: int) -> Polynomial:
        """Return p aᵈ without the name of 1 / a, where d is the degree of that name in p."""
        return self._completed(self._by_power(p, index), self.generators[index].argument)

    def _completed(self, parts: dict[int, Polynomial], a: Polynomial) -> Polynomial:
        """Return the sum of parts[k] a^(d - k), where d is the highest power."""
        degree, total = max(parts, default=0), self.ring.zero
        for power, part in parts.items():
            total += self.product(part, self.power(a, degree - power))
        return total

    def _without_root(self, p: Polynomial, index: int) -> Iterator[Polynomial]:
        """Yield the even and the odd part of p in the name of 1 / √a, without it: p is 0 if both are."""
        parts = self._by_power(p, index)
        for parity in (0, 1):
            own = {power // 2: part for power, part in parts.items() if power % 2 == parity}
            yield self._completed(own, self.generators[index].argument)

    def _by_power(self, p: Polynomial, index: int) -> dict[int, Polynomial]:
        """Return the coefficient of each power of a generator in a polynomial."""
        parts: dict[int, dict[Any, Any]] = {}
        for exponents, coefficient in p.terms():
            rest = (*exponents[:index], 0, *exponents[index + 1 :])
            parts.setdefault(exponents[index], {})[rest] = coefficient
        return {power: self.ring.from_dict(part) for power, part in parts.items()}

    def _reduced(self, p: Polynomial) -> Polynomial:
        """Return p reduced by r a = 1 for each name r of 1 / a.

        No term of the result is divisible by r times the leading term of a.
        """
        replacements = {}
        for index in self.indices(p):
            if self.generators[index].function == INVERSE:
                relation = self.ring.gens[index] * self.generators[index].argument - 1
                replacements[index] = (relation.LM, relation.leading_term() - relation)
        pending, reduced = dict(p), self.ring.zero
        while pending:
            exponents, coefficient = pending.popitem()
            for index, (leading, replacement) in replacements.items():
                if exponents[index] and all(map(ge, exponents, leading)):
                    rest = tuple(map(sub, exponents, leading))
                    for other, factor in replacement.items():
                        product = tuple(map(add, rest, other))
                        self._count(1)
                        pending[product] = pending.get(product, 0) + coefficient * factor
                    break
            else:
                reduced[exponents] = reduced.get(exponents, 0) + coefficient
        reduced.strip_zero()
        return reduced
