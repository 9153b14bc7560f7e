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
    """Run the checks, print a table and what failed, and return the exit status.

    That is 0 if the backend keeps the contract, 1 if it does not, 2 if there is no such backend, and 130
    after Ctrl-C, which ends the checks and leaves the report of those that are done.

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
        backend = get_backend(options.name)
    except BrokenBackendError as error:
        message = f"FAIL construction: {error}; see {PAGE}#members"
        print(textwrap.fill(message, _WIDTH, break_on_hyphens=False, break_long_words=False))
        return 1
    except BackendError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    results: dict[str, str | None] = {}
    try:
        _run(chosen, backend, results)
    except KeyboardInterrupt:
        _report(results, len(chosen), backend)
        print("interrupted", file=sys.stderr)
        return 130
    _report(results, len(chosen), backend)
    return 1 if any(results.values()) else 0


def _run(chosen: Sequence[Check], backend: Backend, results: dict[str, str | None]) -> None:
    """Add what is wrong, or None, by the name of the check; show progress where it takes its time."""
    # multinn stands above backends: it is imported where it is used.
    from multinn.host.progress import progress

    start = time.monotonic()
    with ExitStack() as stack:
        advance = None
        for done, check in enumerate(chosen, start=1):
            try:
                check(backend)
                results[check.name] = None
            except NonconformanceError as error:
                results[check.name] = str(error)
            failed = {"failed": sum(map(bool, results.values()))}
            if advance is not None:
                advance(1, failed)
            elif time.monotonic() - start > _QUIET_SECONDS:
                advance = stack.enter_context(progress(len(chosen), "check"))
                advance(done, failed)


def _report(results: Mapping[str, str | None], count: int, backend: Backend) -> None:
    """Print the table of the checks that were done, each failure, and the verdict.

    Args:
        results: what is wrong, or None, by the name of the check.
        count: how many checks there are.
        backend: what was checked.
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
        print(f"FAIL {first}: {message}")
        if others:
            print(f"     and {len(others)} more in the same words, the last of them {others[-1]!r}")
    verdict = "keeps the contract"
    if names:
        verdict = "does not keep the contract"
    elif len(results) < count:
        verdict = "was not checked to the end"
    passed = sum(message is None for message in results.values())
    print(f"{passed} of {count} checks pass: {_describe(backend)} {verdict}")


def _describe(backend: Backend) -> str:
    """Return the backend as text, which a broken one may not have."""
    try:
        return repr(backend)
    except Exception:
        return type(backend).__name__


if __name__ == "__main__":
    raise SystemExit(main())
