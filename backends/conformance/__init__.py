"""Checks of the backend contract, for the command line and for test suites.

    python -m backends.conformance jax
    python -m backends.conformance my_package.my_module:MyBackend

In pytest, each check is a test:

    @pytest.mark.parametrize("check", checks(), ids=str)
    def test_my_backend(check):
        check(MyBackend())

A check returns None, or raises `NonconformanceError`. Its message is one line: what was expected, what
came, and which section of docs/new-backend.md explains it.
"""

from backends.conformance import arrays, convolution, library, members, programs
from backends.conformance.base import Check as Check
from backends.conformance.base import NonconformanceError as NonconformanceError


def checks(*, gradients: bool = True) -> list[Check]:
    """Return all checks, the most basic ones first.

    Args:
        gradients: whether to include the gradient checks, one for each layer and loss of multinn.

    >>> from backends import get_backend
    >>> for check in checks(gradients=False):
    ...     check(get_backend("numpy"))
    """
    found: list[Check] = []
    for module in (members, arrays, programs, library):
        for value in vars(module).values():
            found += [value] if isinstance(value, Check) else []
        found += arrays.ROUND_TRIPS if module is arrays else []
    found += convolution.CONVOLUTIONS
    order = list(dict.fromkeys(check.section for check in found))
    found.sort(key=lambda check: order.index(check.section))
    return [*found, *library.gradient_checks()] if gradients else found
