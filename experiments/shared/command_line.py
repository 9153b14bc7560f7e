"""The command line of the experiments: shared options, and errors as exit statuses."""

import argparse
import math
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from backends import (
    Backend,
    BackendError,
    PrecisionError,
    backend_names,
    get_backend,
    installed_backends,
)
from backends.registry import COMPILATION_CACHE_VARIABLE
from experiments.datasets import NAMES
from experiments.datasets.cache import cache_path
from experiments.datasets.mnist import DATA_VARIABLE
from experiments.shared.errors import DatasetError, UsageError
from multinn import DivergenceError

T = TypeVar("T")


def make_parser(
    name: str,
    description: str,
    *,
    times_compilation: bool = False,
    pictures: bool = True,
    record: bool = True,
    seed_default: str | None = None,
) -> argparse.ArgumentParser:
    """Return a parser with the options that experiments share.

    Args:
        name: the module's name, as in ``python -m experiments.NAME``.
        description: one or two sentences for ``--help``.
        times_compilation: whether everything is always compiled anew, without an option.
        pictures: whether there is an option ``--out``.
        record: whether there is an option ``--json``.
        seed_default: describes the default seed in words; then the parser's own default is None.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.{name}", description=description, formatter_class=HelpFormatter
    )
    parser.add_argument(
        "--seed",
        type=non_negative,
        default=None if seed_default else 0,
        metavar="N",
        help=f"seed of all random numbers (default: {seed_default or 0})",
    )
    if pictures:
        parser.add_argument(
            "--out", type=Path, metavar="DIR", help="folder for the pictures (default: no pictures)"
        )
    if record:
        parser.add_argument(
            "--json", type=Path, metavar="FILE", help="file for the results (default: no file)"
        )
    if times_compilation:
        parser.set_defaults(compilation_cache=False)
    else:
        parser.add_argument(
            "--no-compilation-cache",
            dest="compilation_cache",
            action="store_false",
            help="compile everything anew (default: what JAX compiles is kept for later runs, in the "
            "folder of MULTINN_COMPILATION_CACHE, else in the user's cache folder)",
        )
    return parser


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Adds the default of an option that takes a value, unless its help already names one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        in_words = "(default:" in (action.help or "")
        if in_words or action.nargs == 0 or action.default is None:
            return action.help
        return super()._get_help_string(action)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Add ``--backend`` to the parser of an experiment that runs on one backend."""
    parser.add_argument(
        "--backend",
        metavar="NAME",
        help="numpy, jax, jax:gpu:1, ... (default: the variable MULTINN_BACKEND, else numpy)",
    )


def add_backends(parser: argparse.ArgumentParser, default: str = "all that are installed") -> None:
    """Add ``--backends`` to the parser of an experiment that compares several."""
    parser.add_argument(
        "--backends",
        "--backend",
        type=comma_separated,
        metavar="NAME,...",
        help=f"numpy, jax, jax:gpu:1, ... (default: {default})",
    )


def add_count(
    parser: argparse.ArgumentParser, option: str, default: int | None, meaning: str, unit: str = "N"
) -> None:
    """Add an option that takes an integer of at least 1."""
    parser.add_argument(option, type=positive, default=default, metavar=unit, help=meaning)


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Add ``--data-dir``, the folder of MNIST."""
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help=f"folder of MNIST's four IDX files (default: {DATA_VARIABLE}, else the cache, else OpenML)",
    )


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add ``--dataset`` and ``--data-dir``."""
    parser.add_argument("--dataset", choices=NAMES, default=NAMES[0], help="the images to train on")
    add_data_dir(parser)


def add_dtype(parser: argparse.ArgumentParser, default: str, note: str = "") -> None:
    """Add ``--dtype``, with a note on how to choose."""
    parser.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        default=default,
        help=f"precision of all numbers{note and f'; {note}'}",
    )


def add_names(parser: argparse.ArgumentParser, option: str, meaning: str, known: Iterable[str]) -> None:
    """Add an option that takes some of the known names, to be looked up by `select`."""
    parser.add_argument(
        option,
        type=comma_separated,
        metavar="NAME,...",
        help=f"{meaning}: {', '.join(known)} (default: all)",
    )


def select(known: Mapping[str, T], names: Iterable[str] | None, kind: str) -> dict[str, T]:
    """Return the values of the names, in their order; all values if `names` is None.

    Raises:
        UsageError: a name is unknown; the message calls it a `kind`.
    """
    names = known if names is None else names
    for name in names:
        if name not in known:
            raise UsageError(f"unknown {kind} {name!r}, expected one of {', '.join(known)}")
    return {name: known[name] for name in names}


def defaults_text(option: str, defaults: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the defaults of an option in words, such as "(default: 30 for digits; 6 for mnist)".

    Args:
        option: the name of the option.
        defaults: the defaults of each choice, such as ``{"digits": {"epochs": 30}}``.
    """
    by_value: dict[Any, list[str]] = {}
    for name, own in defaults.items():
        if option in own:
            by_value.setdefault(own[option], []).append(name)
    parts = [f"{value} for {', '.join(names)}" for value, names in by_value.items()]
    return f"(default: {'; '.join(parts)})"


def load_backends(
    options: argparse.Namespace, *, all_by_default: bool = True, dtype: str | None = None
) -> dict[str, Backend]:
    """Return the backends of ``--backends`` by name.

    A backend ``package.module:Class`` is listed by its own name. Compiled programs are kept for later
    runs if ``options.compilation_cache`` is set.

    Args:
        options: the parsed options.
        all_by_default: whether the default is all installed backends, or that of MULTINN_BACKEND.
        dtype: the dtype that each must have; None for that of ``--dtype``, if there is such an option.

    Raises:
        BackendError: a backend is not available.
        UsageError: a backend lacks the dtype.
    """
    if options.backends or all_by_default:
        backends = dict(map(_named_backend, options.backends or installed_backends()))
    else:
        default = get_backend()
        backends = {default.name: default}
    _check_dtype(backends, dtype or getattr(options, "dtype", None))
    _keep_compiled(options, backends.values())
    return backends


def _check_dtype(backends: Mapping[str, Backend], dtype: str | None) -> None:
    if dtype is None:
        return
    for name, backend in backends.items():
        try:
            with backend.precision(dtype):
                pass
        except PrecisionError as error:
            raise UsageError(
                f"the backend {name!r} lacks {dtype}, which this run needs: {error}; choose another"
            ) from error


def _named_backend(name: str) -> tuple[str, Backend]:
    backend = get_backend(name)
    return (name if name.partition(":")[0] in backend_names() else backend.name), backend


def _keep_compiled(options: argparse.Namespace, backends: Iterable[Backend]) -> None:
    """Let the backends keep what they compile from one run of a script to the next."""
    if not options.compilation_cache:
        return
    try:
        folder = cache_path("compiled")
    except DatasetError:  # the home folder is unknown: do without a cache
        return
    if _is_own(folder):
        for backend in backends:
            backend.keep_compiled(folder)


def _is_own(folder: Path) -> bool:
    """Create the folder; return whether only this user may write into it, as its files are executed."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return False
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)


def positive(text: str) -> int:
    """Parse an integer of at least 1."""
    return _at_least(text, 1)


def non_negative(text: str) -> int:
    """Parse an integer of at least 0."""
    return _at_least(text, 0)


def _at_least(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"expected an integer of at least {least}, got {text!r}")
    return value


def from_zero_below(limit: float) -> Callable[[str], float]:
    """Return a parser of numbers in [0, limit)."""

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
    """Parse a list of at least one name."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"expected names separated by commas, got {text!r}")
    return names


def run_script(
    run: Callable[[argparse.Namespace], int],
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
) -> int:
    """Parse the arguments, run, and return the exit status; expected errors are printed in one line.

    The option ``compilation_cache`` is turned off unless the arguments are those of the command line:
    the cache is a setting of the whole process.

    Args:
        run: takes the parsed options, returns the exit status.
        parser: from `make_parser`.
        arguments: None for those of the command line.
    """
    options = parser.parse_args(arguments)
    keeps_programs = getattr(options, "compilation_cache", True)
    if arguments is None and not keeps_programs:
        os.environ.pop(COMPILATION_CACHE_VARIABLE, None)  # also for the processes that it starts
    options.compilation_cache = arguments is None and keeps_programs
    try:
        _check_files(getattr(options, "out", None), getattr(options, "json", None))
        if "backend" in options:
            backend = get_backend(options.backend)
            _check_dtype({backend.name: backend}, getattr(options, "dtype", None))
            _keep_compiled(options, [backend])
        return run(options)
    except BrokenPipeError:  # the reader of the output has gone, such as `head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # for Python's flush at exit
        return 141
    except (BackendError, DatasetError, DivergenceError, OSError, UsageError) as error:
        print_error(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _check_files(pictures: Path | None, record: Path | None) -> None:
    """Create the folders of ``--out`` and ``--json``, so that errors appear before the run."""
    if pictures and not find_spec("matplotlib"):
        raise UsageError('--out needs matplotlib: pip install "multinn[plot]"')
    if record:
        _make_folder("--json", record.parent)
        if record.is_dir():
            raise UsageError(f"--json: expected a file, got the folder {record}")
    if pictures:
        _make_folder("--out", pictures)


def _make_folder(option: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{option}: expected a folder that exists or can be made, got {folder}: {error.strerror}"
        ) from error


def print_error(message: str) -> None:
    """Print a message on the standard error stream, on a terminal wrapped to its width."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        message = textwrap.fill(message, width, break_long_words=False, break_on_hyphens=False)
    print(message, file=sys.stderr)
