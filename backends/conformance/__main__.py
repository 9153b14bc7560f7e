"""Check a backend on the command line: ``python -m backends.conformance NAME``."""

import argparse
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from backends.base import Backend
from backends.conformance import Check, NonconformanceError, checks
from backends.conformance.base import PAGE
from backends.errors import BackendError, BrokenBackendError
from backends.registry import get_backend

_WIDTH = 80
_QUIET_SECONDS = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks, print a table and the failures, and return the exit status.

    The status is 0 if the backend keeps the contract, 1 if it does not, 2 if there is no such backend or
    check, and 130 after Ctrl-C, which ends the checks and prints the report of those done.

    Args:
        arguments: command-line arguments; the process's own if None.
    """
    parser = argparse.ArgumentParser(
        prog="python -m backends.conformance",
        description=f"Check whether a backend keeps the contract. {PAGE} explains each failure.",
    )
    parser.add_argument(
        "name", help="a registered name, such as jax:cpu, or module:Class or module:Class:device"
    )
    parser.add_argument("--only", metavar="TEXT", help="run only checks with this text in their name")
    options = parser.parse_args(arguments)
    selected = [each for each in checks() if (options.only or "").lower() in each.name.lower()]
    if not selected:
        print(_wrap(f"error: --only: no check has {options.only!r} in its name"), file=sys.stderr)
        return 2
    try:
        backend = get_backend(options.name)
    except BrokenBackendError as error:
        print(_wrap(f"FAIL construction: {error}; see {PAGE}#members"))
        return 1
    except BackendError as error:
        print(_wrap(f"error: {error}"), file=sys.stderr)
        return 2
    results: dict[str, str | None] = {}
    try:
        _run(selected, backend, results)
    except KeyboardInterrupt:
        _report(results, len(selected), backend)
        print("interrupted", file=sys.stderr)
        return 130
    _report(results, len(selected), backend)
    return 1 if any(results.values()) else 0


def _run(selected: Sequence[Check], backend: Backend, results: dict[str, str | None]) -> None:
    """Run the checks, store the error message of each or None, and show the progress of a long run."""
    # multinn depends on backends, so it is imported only where it is used.
    from multinn.host.progress import progress

    start = time.monotonic()
    with ExitStack() as stack:
        advance = None
        for done, check in enumerate(selected, start=1):
            try:
                check(backend)
                results[check.name] = None
            except NonconformanceError as error:
                results[check.name] = str(error)
            failed = {"failed": sum(map(bool, results.values()))}
            if advance is not None:
                advance(1, failed)
            elif time.monotonic() - start > _QUIET_SECONDS:
                advance = stack.enter_context(progress(len(selected), "check"))
                advance(done, failed)


def _report(results: Mapping[str, str | None], count: int, backend: Backend) -> None:
    """Print the table of completed checks, each failure, and the verdict.

    Args:
        results: the error message or None, by the name of the check.
        count: the number of selected checks.
        backend: the backend under test.
    """
    width = max(map(len, results), default=0)
    for name, message in results.items():
        print(f"{name.ljust(width)}  {'FAIL' if message else 'ok'}")
    print()
    names: dict[str, list[str]] = {}
    for name, message in results.items():
        if message:
            names.setdefault(message, []).append(name)
    for message, (first, *others) in names.items():
        print(_wrap(f"FAIL {first}: {message}"))
        if others:
            print(_wrap(f"and {len(others)} more with the same message, the last: {others[-1]!r}", "  "))
    verdict = "keeps the contract"
    if names:
        verdict = "does not keep the contract"
    elif len(results) < count:
        verdict = "was checked only in part"
    passed = sum(message is None for message in results.values())
    print(_wrap(f"{passed} of {count} checks pass: {_describe(backend)} {verdict}"))


def _wrap(text: str, indent: str = "") -> str:
    """Return the text in lines of 80 columns; paths and addresses stay whole."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _describe(backend: Backend) -> str:
    """Return the repr of the backend, or the name of its class if the repr fails."""
    try:
        return repr(backend)
    except Exception:
        return type(backend).__name__


if __name__ == "__main__":
    raise SystemExit(main())
