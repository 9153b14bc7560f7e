"""The conformance checks: each of our backends passes them, and each broken one fails."""

import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backends import Backend, EagerBackend, get_backend, tree
from backends.conformance import NonconformanceError, checks
from backends.conformance.__main__ import main
from backends.numpy_backend import NumpyBackend
from tests.support.helpers import ROOT, run_python

CONTRACT = checks(gradients=False)
ALL = checks()


@pytest.mark.parametrize("check", CONTRACT, ids=str)
def test_a_backend_keeps_the_contract(backend, check):
    check(backend)


# On the other backends, test_gradients.py compares the same and more.
@pytest.mark.parametrize("check", ALL[len(CONTRACT) :], ids=str)
def test_compiled_numpy_has_the_gradients_of_eager_numpy(check):
    check(get_backend("numpy"))


def namespace(**replaced: Any) -> Any:
    """Return NumPy's namespace with some functions replaced."""
    return SimpleNamespace(**{**vars(np), **replaced})


class Eager(EagerBackend):
    """A correct backend, from which the broken ones below derive."""

    name = "eager"
    xp: Any = np

    def scatter_add(self, table, ids, rows):
        result = table.copy()
        np.add.at(result, ids, rows)
        return result

    def to_numpy(self, tree_of_arrays):
        return tree.map(np.asarray, tree_of_arrays)


class DropsDuplicates(Eager):
    def scatter_add(self, table, ids, rows):
        result = table.copy()
        result[ids] += rows
        return result


class WritesIntoTheTable(Eager):
    def scatter_add(self, table, ids, rows):
        np.add.at(table, ids, rows)
        return table


class Promotes(Eager):
    def from_numpy(self, tree_of_arrays):
        return tree.map(
            lambda leaf: np.asarray(leaf, np.float64 if leaf.dtype == np.float32 else None),
            tree_of_arrays,
        )


class Narrows(Eager):
    def from_numpy(self, tree_of_arrays):
        return tree.map(
            lambda leaf: np.asarray(leaf, np.float32 if leaf.dtype == np.float64 else None),
            tree_of_arrays,
        )


class OffByOne(Eager):
    def scan(self, step, carry, xs):
        first = tree.map(lambda x: x[:1, ...], xs)
        return super().scan(step, super().scan(step, carry, first)[0], xs)


class LosesNone(Eager):
    def scan(self, step, carry, xs):
        return super().scan(step, carry, xs)[0], ()


class ScansEverything(Eager):
    def scan(self, step, carry, xs):
        try:
            return super().scan(step, carry, xs)
        except ValueError:
            return carry, None


class OtherBits(Eager):
    xp = namespace(bitwise_right_shift=lambda x, by: np.bitwise_right_shift(x, by) ^ 1)


class WithoutTanh(Eager):
    xp = SimpleNamespace(**{name: value for name, value in vars(np).items() if name != "tanh"})


class InexactTanh(Eager):
    xp = namespace(tanh=lambda x: np.tanh(x) * (1.0 + 1e-9))


class OtherOrder(Eager):
    def scan(self, step, xs, carry):
        return super().scan(step, carry, xs)


class NeedsMore(Eager):
    def scatter_add(self, table, ids, rows, mode):
        return super().scatter_add(table, ids, rows)


class NoName(Eager):
    name = None


class AnyPrecision(Eager):
    def precision(self, dtype):
        return super().precision("float32")


class StaleResults(Eager):
    """Returns each result in the memory of the previous one."""

    def jit(self, function, *example):
        kept: list[Any] = []

        def run(*arguments):
            result = function(*arguments)
            if not kept:
                kept.append(tree.map(np.copy, result))
            tree.map(lambda old, new: np.copyto(old, new), kept[0], result)
            return kept[0]

        return run if example else super().jit(function)


class Warns(Eager):
    def jit(self, function, *example):
        return function


class Crashes(Eager):
    def sync(self, tree):
        raise RuntimeError("the driver\nis gone")


class Gone(Eager):
    def scan(self, step, carry, xs):
        return self._fail()

    def _fail(self):
        raise RuntimeError("no loops here")


class Interrupted(Eager):
    def sync(self, tree):
        raise KeyboardInterrupt


class Unnamed(Eager):
    def sync(self, tree):
        raise RuntimeError("no")

    def __repr__(self):
        raise AttributeError("device")


def failures(backend: Backend) -> dict[str, str]:
    """Return the message of each failed check, by its name."""
    found = {}
    for check in ALL:
        try:
            check(backend)
        except NonconformanceError as error:
            found[check.name] = str(error)
    return found


@pytest.mark.parametrize(
    ("broken", "name", "message"),
    [
        (
            DropsDuplicates,
            "scatter_add: duplicate ids accumulate",
            r"expected .*\[\[2.0\], \[0.0\], \[13.0\]\], got \[\[2.0\], \[0.0\], \[8.0\]\]",
        ),
        (WritesIntoTheTable, "scatter_add: the table is unchanged", r"got \[\[1.0\], \[0.0\]\]"),
        (
            Promotes,
            "from_numpy: float32 comes back unchanged",
            r"expected .*float32 of shape \(2, 3\), got float64 of shape \(2, 3\)",
        ),
        (
            Narrows,
            "precision: 64-bit numbers are kept, or PrecisionError is raised",
            "expected float64 outside .*: float64 .*, got float32",
        ),
        (
            OffByOne,
            "scan: is a loop over nested trees",
            r"expected the last carry of 4 steps, leaf .*, got ",
        ),
        (LosesNone, "scan: a step may return None as y", r"expected None as the ys .*, got \(\)"),
        (
            ScansEverything,
            "scan: raises ValueError without a common length above 0",
            "expected ValueError from scan for xs with no leaves, got no error",
        ),
        (OtherBits, "random-numbers: bits equal NumPy's", r"expected multinn.random.bits: .*, got "),
        (
            WithoutTanh,
            "namespace: xp has the functions of the Array API standard",
            "expected all functions of the standard in xp, got an xp without tanh",
        ),
        (
            InexactTanh,
            "gradients: Tanh",
            "expected float64 gradients within 1e-10 of NumPy's, got a relative error of",
        ),
        (
            OtherOrder,
            "members: methods take the arguments of the contract",
            r"expected scan\(step, carry, xs\), got scan\(step, xs, carry\)",
        ),
        (
            NeedsMore,
            "members: methods take the arguments of the contract",
            r"expected scatter_add\(table, ids, rows\), got scatter_add\(table, ids, rows, mode\)",
        ),
        (
            NoName,
            "members: name, device and version are strings",
            "expected a string as 'name', got None",
        ),
        (
            AnyPrecision,
            "precision: any other dtype raises PrecisionError",
            r"expected PrecisionError from precision\('float16'\), got no error",
        ),
        (StaleResults, "jit: results outlive the next call", "expected a result after two more calls"),
        (Warns, "jit: prints no floating-point warnings", "got RuntimeWarning: divide by zero"),
        (
            Crashes,
            "sync: returns the tree that it is given",
            r"expected no error, got RuntimeError: the driver is gone \(.*test_conformance.py:\d+\)",
        ),
    ],
)
def test_a_broken_backend_fails_with_a_message_of_one_line(broken, name, message):
    found = failures(broken())
    section = name.partition(":")[0]
    assert re.search(message, found[name]), found[name]
    assert found[name].endswith(f"; see docs/new-backend.md#{section}")
    assert "\n" not in found[name]


def test_the_base_class_of_the_broken_backends_passes():
    assert failures(Eager()) == {}


def test_names_are_unique_and_the_table_fits_80_columns():
    names = [check.name for check in ALL]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 80 - len("  FAIL")


def test_all_functions_that_multinn_uses_are_required():
    from backends.conformance.members import NAMES

    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "multinn").rglob("*.py")]
    used = set(re.findall(r"\bxp\.(\w+)", "\n".join(sources)))
    assert used - {"float64"} <= set(NAMES)


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["numpy", "--only", "scatter"], 0, "5 of 5 checks pass: NumpyBackend(device='cpu') keeps the"),
        (["tests.backends.test_conformance:Eager:cpu", "--only", "sync"], 0, "1 of 1 checks pass"),
        (
            ["tests.backends.test_conformance:DropsDuplicates", "--only", "scatter_add"],
            1,
            "FAIL scatter_add: duplicate ids accumulate: expected rows 1, 2, 4, 8 added",
        ),
        (
            ["backends:EagerBackend"],
            1,
            "FAIL construction: backend 'backends:EagerBackend' failed to start on its default device",
        ),
        (["builtins:int"], 1, "FAIL construction: backend 'builtins:int' failed to start"),
        (["nunpy"], 2, "unknown backend 'nunpy', expected one of numpy"),
        (["nunpy"], 2, "or module:Class for an unregistered one; did you mean 'numpy'?"),
        (
            ["tests.backends.test_conformance:Unnamed", "--only", "sync"],
            1,
            "0 of 1 checks pass: Unnamed does",
        ),
        (["numpy:gpu"], 2, "backend 'numpy' has no device 'gpu'"),
        (["nowhere_to_be_found:Any"], 2, "unknown backend 'nowhere_to_be_found'"),
        (["numpy", "--only", "LSTM?"], 2, "no check has 'LSTM?' in its name"),
    ],
)
def test_the_command_prints_a_verdict_and_returns_its_status(capsys, arguments, status, expected):
    assert main(arguments) == status
    output = "".join(capsys.readouterr())
    assert expected in " ".join(output.split())
    assert max(map(len, output.splitlines())) <= 80


def test_the_command_runs_from_any_folder(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from backends.numpy_backend import NumpyBackend\nclass Mine(NumpyBackend): ...\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "backends.conformance", "mine:Mine"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == f"{len(ALL)} of {len(ALL)} checks pass: Mine(device='cpu') keeps the contract"
    assert sum(line.endswith(" ok") for line in lines) == len(ALL)
    assert max(map(len, lines)) <= 80


def test_a_module_that_fails_to_load_is_a_failure(tmp_path, monkeypatch, capsys):
    (tmp_path / "half_written.py").write_text("def (")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["half_written:Any"]) == 1
    output = " ".join(capsys.readouterr().out.split())
    assert output.startswith("FAIL construction: backend 'half_written:Any', the class")


def test_equal_messages_are_printed_once(capsys):
    assert main(["tests.backends.test_conformance:Gone", "--only", "scan"]) == 1
    output = capsys.readouterr().out
    assert output.count("\nFAIL ") == 1
    last = [check.name for check in CONTRACT if check.section == "scan"][-1]
    assert f"and 5 more with the same message, the last: {last!r}" in " ".join(output.split())


def test_an_error_is_located_in_the_file_of_the_backend(capsys):
    main(["tests.backends.test_conformance:Gone", "--only", "scan"])
    output = " ".join(capsys.readouterr().out.split())
    assert re.search(r"RuntimeError: no loops here \(\S*test_conformance.py:\d+\)", output)


def test_an_interrupt_leaves_the_report_of_the_checks_done(capsys):
    assert main(["tests.backends.test_conformance:Interrupted", "--only", "s"]) == 130
    captured = capsys.readouterr()
    assert captured.err == "interrupted\n"
    assert "Interrupted(device='cpu') was checked only in part" in captured.out
    assert captured.out.startswith("members: ")


def test_a_long_run_shows_progress(monkeypatch, capsys):
    monkeypatch.setattr("backends.conformance.__main__._QUIET_SECONDS", -1.0)
    main(["numpy", "--only", "scatter_add"])
    assert "check 5/5  failed 0" in capsys.readouterr().err


def test_a_short_run_shows_none(capsys):
    main(["numpy", "--only", "scatter_add"])
    assert capsys.readouterr().err == ""


def test_importing_the_checks_imports_no_multinn():
    result = run_python("import sys, backends.conformance; print('multinn' in sys.modules)")
    assert result.stdout == "False\n"


def test_a_backend_without_float64_may_keep_the_contract():
    class Single(NumpyBackend):
        def precision(self, dtype):
            from backends import PrecisionError

            if dtype == "float64":
                raise PrecisionError("no float64")
            return super().precision(dtype)

        def from_numpy(self, values):
            from backends import PrecisionError

            if any(leaf.dtype == np.float64 for leaf in tree.leaves(values)):
                raise PrecisionError("no float64")
            return super().from_numpy(values)

    assert failures(Single()) == {}
