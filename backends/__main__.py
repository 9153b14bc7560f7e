"""List the registered backends and what they offer here: ``python -m backends``."""

import argparse
import inspect
import textwrap
from collections.abc import Sequence

from backends.base import Backend
from backends.conformance.base import has_float64
from backends.errors import BackendError, BackendNotInstalledError
from backends.registry import backend_names, get_backend

_WIDTH = 80
_HINT = (
    'Select one by name, as in get_backend("numpy:eager") or MULTINN_BACKEND=jax; '
    "check one with python -m backends.conformance NAME."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one paragraph for each backend, and return the exit status, 0.

    Args:
        arguments: command-line arguments; the process's own if None.
    """
    argparse.ArgumentParser(
        prog="python -m backends",
        description="List the registered backends with version, devices and precisions. For a missing "
        "backend, print how to install it; for a broken one, the reason.",
    ).parse_args(arguments)
    names = backend_names()
    indent = " " * (max(map(len, names)) + 2)
    for name in names:
        first = name.ljust(len(indent))
        for paragraph in _describe(name):
            print(_wrap(paragraph, first, indent))
            first = indent
    print()
    print(_wrap(_HINT))
    return 0


def _describe(name: str) -> list[str]:
    """Return paragraphs about the backend of that name."""
    try:
        backend = get_backend(name)
        blas = getattr(backend, "blas", None)
        return [
            (inspect.getdoc(type(backend)) or "no description").splitlines()[0],
            f"version {backend.version}; {_devices(name, backend)}; {_precisions(backend)}",
            *([f"matrix products by {blas}"] if blas else []),
        ]
    except BackendNotInstalledError as error:  # pip's command on its own line, for copying
        needs, colon, install = str(error).partition(": ")
        return [needs + colon, install]
    except BackendError as error:
        return [str(error)]
    except Exception as error:  # a third party's backend may fail in any way
        return [f"backend {name!r} is broken: {type(error).__name__}: {error}"]


def _devices(name: str, backend: Backend) -> str:
    devices = getattr(backend, "devices", (backend.device,))
    return ", ".join(f"{name}:{device}" for device in devices)


def _precisions(backend: Backend) -> str:
    return "float32 and float64" if has_float64(backend) else "float32"


def _wrap(text: str, first: str = "", indent: str = "") -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=first, subsequent_indent=indent)


if __name__ == "__main__":
    raise SystemExit(main())
