"""SymPy's definitions and derivatives of the functions whose values get names in `field`."""

from collections.abc import Callable
from functools import cache
from typing import Any

INVERSE = "inverse"
INVERSE_ROOT = "inverse_root"

# The functions of u, in SymPy's notation.
DEFINITIONS = {
    INVERSE: "1 / u",
    INVERSE_ROOT: "1 / sqrt(u)",
    "exp": "exp(u)",
    "log": "log(u)",
    "tanh": "tanh(u)",
    "sin": "sin(u)",
    "cos": "cos(u)",
    "atan": "atan(u)",
    "normal_cdf": "(1 + erf(u / sqrt(2))) / 2",
}


@cache
def slope(function: str) -> Callable[[Any, Any], Any]:
    """Return SymPy's f' as a function of u and f(u), for expressions.

    >>> slope("tanh")(0.0, 0.5)
    0.75
    """
    import sympy

    u, f = sympy.symbols("u f", positive=True)
    applied = _applied(function)
    derivative = sympy.N(sympy.diff(applied, u).subs(applied, f), 17)  # irrational constants as floats
    on_expressions = {
        "sin": lambda e: e.apply("sin"),
        "cos": lambda e: e.apply("cos"),
        "exp": lambda e: e.exp(),
    }
    compiled: Callable[[Any, Any], Any] = sympy.lambdify((u, f), derivative, modules=[on_expressions])
    return compiled


@cache
def numeric(function: str) -> Callable[[float], float]:
    """Return the function, for floats.

    >>> numeric("inverse_root")(4.0)
    0.5
    """
    import sympy

    compiled = sympy.lambdify(sympy.symbols("u", positive=True), _applied(function), modules="math")
    return lambda u: float(compiled(u))


def polynomial_ring(generators: int) -> Any:
    """Return SymPy's ring of polynomials in that many generators, with rational coefficients."""
    from sympy import QQ
    from sympy.polys.rings import PolyRing

    return PolyRing([f"g{index}" for index in range(generators)], QQ, "lex")


def sympy_version() -> str:
    """Return the version of SymPy."""
    import sympy

    return str(sympy.__version__)


def _applied(function: str) -> Any:
    import sympy

    return sympy.sympify(DEFINITIONS[function], locals={"u": sympy.symbols("u", positive=True)})
