"""A field of expressions in which it can be decided whether one of them is identically zero.

An expression is a polynomial, in SymPy's ring of polynomials with rational coefficients, in *symbols*
and in *names*. A name stands for a function of a polynomial in symbols and earlier names, such as
e = exp(a), or r = 1 / a, which is the name with r a = 1. So all that layers compute is a polynomial,
each derivative follows from SymPy's partial derivatives of polynomials and SymPy's derivative of each
function, and an identity holds if a polynomial is zero once each 1 / a and 1 / √a is multiplied away.
Names are taken as independent of one another: where they are not, an identity may go unproved, and one
that is proved holds all the same.
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

Polynomial = Any  # of SymPy, whose types mypy does not know

_MOST_WORK = 300_000
_TINY = 1e-12


class Generator(NamedTuple):
    """A symbol, or the name of a function of a polynomial.

    Attributes:
        at: the number that it stands for at the point.
        function: which; None for a symbol.
        argument: of the function.
    """

    at: float
    function: str | None = None
    argument: Polynomial = None


class Field:
    """Symbols and names, and what is known of them.

    Attributes:
        ring: SymPy's, with room for so many generators.
        generators: what those in use stand for.
        comparisons: how many were answered as at the point.
        work: how many products of terms were formed.
        derivatives: of generators, by (generator, symbol), as far as they are known.
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
        """Return a new symbol, which stands for that number at the point."""
        return self._add(Generator(at))

    def constant(self, value: Any) -> Polynomial:
        """Return a rational number as a polynomial."""
        return self.ring.ground_new(self.ring.domain(value.numerator, value.denominator))

    def indices(self, p: Polynomial) -> list[int]:
        """Return the generators that occur in a polynomial, in ascending order."""
        return [index for index, degree in enumerate(p.degrees()) if degree > 0]

    def value(self, p: Polynomial) -> float:
        """Return the number that a polynomial is at the point."""
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
        """Return 1 / p, of which only what is no product already gets a name."""
        if not abs(self.value(p)) > _TINY:
            raise UnreachedError("a division by 0, or by what is almost 0 at the point")
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
            UnreachedError: that would be more work than this field is for.
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
            raise UnreachedError("a square root of what is not positive")
        inverse_root = self.named(INVERSE_ROOT, p)
        self._known.setdefault((INVERSE, p), inverse_root**2)
        self._known.setdefault((INVERSE, p * inverse_root), inverse_root)
        return p * inverse_root

    def exp(self, p: Polynomial) -> Polynomial:
        """Return e to the power p, where e^(k log a) is aᵏ and a sum of symbols gives a product."""
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
        """Return the logarithm of p. Exponentials and quotients in p come out of it."""
        if not self.value(p) > 0.0:
            raise UnreachedError("a logarithm of what is not positive")
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
        """Tell whether p is identically zero, as far as names are independent of one another."""
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
        """Return p as a fraction of polynomials in which no 1 / a is left."""
        denominator = self.ring.one
        for index in reversed(range(len(self.generators))):
            if self.generators[index].function == INVERSE:
                degree = max(p.degree(self.ring.gens[index]), 0)
                p = self._multiplied_away(p, index)
                factor = self.power(self.generators[index].argument, degree)
                denominator = self.product(denominator, factor)
        return p, denominator

    def _multiplied_away(self, p: Polynomial, index: int) -> Polynomial:
        """Return p aᵈ without the name of 1 / a, where d is its degree in p."""
        return self._completed(self._by_power(p, index), self.generators[index].argument)

    def _completed(self, parts: dict[int, Polynomial], a: Polynomial) -> Polynomial:
        """Return the sum of the parts, each times a to the power that its own lacks of the highest."""
        degree, total = max(parts, default=0), self.ring.zero
        for power, part in parts.items():
            total += self.product(part, self.power(a, degree - power))
        return total

    def _without_root(self, p: Polynomial, index: int) -> Iterator[Polynomial]:
        """Yield polynomials without the name r of 1 / √a: p is zero if even and odd powers are."""
        parts = self._by_power(p, index)
        for parity in (0, 1):
            own = {power // 2: part for power, part in parts.items() if power % 2 == parity}
            yield self._completed(own, self.generators[index].argument)

    def _by_power(self, p: Polynomial, index: int) -> dict[int, Polynomial]:
        """Return what a polynomial has beside each power of a generator."""
        parts: dict[int, dict[Any, Any]] = {}
        for exponents, coefficient in p.terms():
            rest = (*exponents[:index], 0, *exponents[index + 1 :])
            parts.setdefault(exponents[index], {})[rest] = coefficient
        return {power: self.ring.from_dict(part) for power, part in parts.items()}

    def _reduced(self, p: Polynomial) -> Polynomial:
        """Return p with r a = 1 used for each name r of 1 / a: no r beside the leading term of a."""
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
