"""What every experiment script shares: options, and what becomes of errors."""

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from backends import Backend, BackendError, backend_names, get_backend, installed_backends
from experiments.datasets import DatasetError
from experiments.datasets.cache import cache_path
from multinn import DivergenceError


def make_parser(
    name: str,
    description: str,
    *,
    times_compilation: bool = False,
    figures: bool = True,
    record: bool = True,
) -> argparse.ArgumentParser:
    """Return a parser with the options that experiments share.

    Args:
        name: the module's name, as in ``python -m experiments.NAME``.
        description: one or two sentences for ``--help``.
        times_compilation: whether everything is to be compiled anew, always.
        figures: whether it draws any, into the folder of ``--out``.
        record: whether it writes one, into the file of ``--json``.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.{name}",
        description=description,
        formatter_class=_DefaultsThatSaySomething,
    )
    parser.add_argument("--seed", type=non_negative, default=0, help="seed of all randomness")
    if figures:
        parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the figures")
    if record:
        parser.add_argument("--json", type=Path, metavar="FILE", help="file for the record of the run")
    if times_compilation:
        parser.set_defaults(compilation_cache=False)
        return parser
    parser.add_argument(
        "--no-compilation-cache",
        dest="compilation_cache",
        action="store_false",
        default=True,
        help="compile anew; otherwise, what JAX compiles is kept in the user's cache folder",
    )
    return parser


class _DefaultsThatSaySomething(argparse.ArgumentDefaultsHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Add ``--backend`` to the parser of an experiment that runs on one backend."""
    parser.add_argument(
        "--backend",
        help="numpy, jax, jax:gpu:1, ...; the environment variable MULTINN_BACKEND if left out",
    )


def add_backends(parser: argparse.ArgumentParser, choose_from: Sequence[str] | None = None) -> None:
    """Add ``--backends`` to the parser of an experiment that compares several.

    Args:
        parser: from `make_parser`.
        choose_from: the names of those that it knows; all if None.
    """
    known = f"some of {', '.join(choose_from)}" if choose_from else "numpy, jax, jax:gpu:1, ..."
    parser.add_argument(
        "--backends",
        "--backend",
        type=comma_separated,
        metavar="NAME,...",
        help=f"{known}; all that are installed if left out, whatever MULTINN_BACKEND says",
    )


def chosen_backends(options: argparse.Namespace, *, all_by_default: bool = True) -> dict[str, Backend]:
    """Return the backends of ``--backends``, by the names under which they were asked for.

    One that is not registered is named as ``package.module:Class``, and listed by its own
    name. They keep what they compile, where `run_script` says so.

    Args:
        options: those of the command line.
        all_by_default: whether all that are installed are taken where none is named, or the one of
            MULTINN_BACKEND.
    """
    if options.backends or all_by_default:
        backends = dict(map(_named_backend, options.backends or installed_backends()))
    else:
        default = get_backend()
        backends = {default.name: default}
    _keep_compiled(options, backends.values())
    return backends


def _named_backend(name: str) -> tuple[str, Backend]:
    backend = get_backend(name)
    return (name if name.partition(":")[0] in backend_names() else backend.name), backend


def _keep_compiled(options: argparse.Namespace, backends: Iterable[Backend]) -> None:
    """Let the backends keep what they compile from one run of a script to the next."""
    if not options.compilation_cache:
        return
    try:
        folder = cache_path("compiled")
    except DatasetError:  # there is no home folder: there is no cache, and no need of one
        return
    if _is_own(folder):
        for backend in backends:
            backend.keep_compiled(folder)


def _is_own(folder: Path) -> bool:
    """Make the folder, and tell whether nobody else may write into it: what is kept there is run."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return False
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)


def positive(text: str) -> int:
    """Return the integer of 1 or more that the text of an option gives."""
    return _at_least(text, 1)


def non_negative(text: str) -> int:
    """Return the integer of 0 or more that the text of an option gives."""
    return _at_least(text, 0)


def from_zero_below(limit: float) -> Callable[[str], float]:
    """Return a type of option: a number of 0 or more and below the limit."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0.0 <= value < limit:
            bound = (
                "a finite number of 0 or more" if limit == math.inf else f"a number in [0, {limit:g})"
            )
            raise argparse.ArgumentTypeError(f"expected {bound}, got {text!r}")
        return value

    return number


def comma_separated(text: str) -> list[str]:
    """Return the names that the text of an option lists, at least one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"expected names with commas between, got {text!r}")
    return names


def _at_least(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"expected an integer of at least {least}, got {text!r}")
    return value


def run_script(
    run: Callable[[argparse.Namespace], int],
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
) -> int:
    """Parse the arguments, run, and return the exit status; expected errors are one line each.

    Compiled programs are kept for the next run, unless ``--no-compilation-cache`` is given or the
    process is not that of a script: the setting is one of the whole process.

    Args:
        run: takes the parsed options, returns the exit status.
        parser: from `make_parser`.
        arguments: those of the command line if None.
    """
    options = parser.parse_args(arguments)
    is_script = arguments is None
    options.compilation_cache = is_script and getattr(options, "compilation_cache", True)
    folder = getattr(options, "out", None)
    if folder and not find_spec("matplotlib"):
        print('error: --out needs matplotlib: pip install "multinn[plot]"', file=sys.stderr)
        return 2
    try:
        if record := getattr(options, "json", None):  # what cannot be fails now rather than at the end
            record.parent.mkdir(parents=True, exist_ok=True)
            if record.is_dir():
                raise IsADirectoryError(f"--json: expected a file, got the folder {record}")
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        if "backend" in options:
            _keep_compiled(options, [get_backend(options.backend)])
        return run(options)
    except BrokenPipeError:  # whoever read the output has gone, such as `head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # for Python's flush at exit
        return 141
    except (BackendError, DatasetError, DivergenceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
