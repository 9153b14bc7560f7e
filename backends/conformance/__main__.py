"""Check a backend on the command line: ``python -m backends.conformance NAME``."""

import argparse
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module

from backends.base import Backend
from backends.conformance import Check, NonconformanceError, checks
from backends.conformance.base import PAGE
from backends.errors import BackendError
from backends.registry import backend_names, get_backend

_WIDTH = 80
_QUIET_SECONDS = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks, print a table and what failed, and return the exit status.

    That is 0 if the backend keeps the contract, 1 if it does not, and 2 if there is no such backend.

    Args:
        arguments: those of the command line if None.
    """
    parser = argparse.ArgumentParser(
        prog="python -m backends.conformance",
        description="Check whether a backend keeps the contract. docs/new-backend.md tells what each "
        "failure means.",
    )
    parser.add_argument(
        "name", help="a registered name, such as jax:cpu, or module:Class or module:Class:device"
    )
    parser.add_argument(
        "--only", metavar="TEXT", help="only the checks that have this text in their name"
    )
    options = parser.parse_args(arguments)
    chosen = [each for each in checks() if (options.only or "").lower() in each.name.lower()]
    if not chosen:
        print(f"error: no check has {options.only!r} in its name", file=sys.stderr)
        return 2
    try:
        backend = _find(options.name)
    except NonconformanceError as error:
        print(textwrap.fill(f"FAIL construction: {error}", _WIDTH))
        return 1
    except (BackendError, ImportError, AttributeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    failures = _run(chosen, backend)
    _report(chosen, failures, backend)
    return 1 if failures else 0


def _find(name: str) -> Backend:
    """Return the backend of a registered name, or an instance of a class.

    Raises:
        NonconformanceError: the class cannot be constructed, or is not one of a backend.
    """
    module, colon, rest = name.partition(":")
    if module in backend_names() or not colon:
        return get_backend(name)
    attribute, colon, device = rest.partition(":")
    kind = getattr(import_module(module), attribute)
    try:
        backend = kind(device if colon else None)
        got = f"a {type(backend).__name__}"
    except BackendError:
        raise
    except Exception as error:
        backend, got = None, f"{type(error).__name__}: {error}"
    if isinstance(backend, Backend):
        return backend
    raise NonconformanceError(
        f"expected {attribute}(device) to return a Backend, got {got}; see {PAGE}#members"
    )


def _run(chosen: Sequence[Check], backend: Backend) -> dict[str, str]:
    """Return what is wrong, by the name of the check; show progress where it takes its time."""
    # multinn stands above backends: it is imported where it is used.
    from multinn.progress import progress

    failures: dict[str, str] = {}
    start = time.monotonic()
    with ExitStack() as stack:
        advance = None
        for done, check in enumerate(chosen, start=1):
            try:
                check(backend)
            except NonconformanceError as error:
                failures[check.name] = str(error)
            if advance is not None:
                advance(1, {"failed": len(failures)})
            elif time.monotonic() - start > _QUIET_SECONDS:
                advance = stack.enter_context(progress(len(chosen), "check"))
                advance(done, {"failed": len(failures)})
    return failures


def _report(chosen: Sequence[Check], failures: Mapping[str, str], backend: Backend) -> None:
    """Print the table of all checks, a line for each failure, and the verdict."""
    width = max(len(check.name) for check in chosen)
    for check in chosen:
        print(f"{check.name.ljust(width)}  {'FAIL' if check.name in failures else 'ok'}")
    print()
    for name, message in failures.items():
        print(f"FAIL {name}: {message}")
    verdict = "does not keep the contract" if failures else "keeps the contract"
    print(f"{len(chosen) - len(failures)} of {len(chosen)} checks pass: {backend!r} {verdict}")


if __name__ == "__main__":
    raise SystemExit(main())
