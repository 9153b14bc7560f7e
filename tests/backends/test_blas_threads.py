"""The limit of NumPy's BLAS threads to the usable cores, and their description."""

import os
import threading
from types import SimpleNamespace

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from backends import blas_threads, get_backend
from backends.blas_threads import (
    Cores,
    count_cores,
    cpu_quota,
    describe_blas,
    limit_blas_threads,
    usable_cores,
)
from tests.support.helpers import run_python

VARIABLES = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
ONE_OF_64 = Cores(1, 64, "the CPU quota")


@pytest.fixture
def use(monkeypatch):
    """Return a function that sets the usable cores; no environment variable sets the threads."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with threadpool_limits(2, "blas"):
        yield lambda cores: monkeypatch.setattr(blas_threads, "usable_cores", lambda: cores)


def threads():
    return {library["num_threads"] for library in threadpool_info() if "numpy" in library["filepath"]}


# --- cores ---


@pytest.mark.parametrize(
    ("machine", "affinity", "quota", "expected"),
    [
        (64, 64, None, Cores(64, 64, "")),
        (64, 4, None, Cores(4, 64, "the CPU affinity")),
        (64, 64, 2.0, Cores(2, 64, "the CPU quota")),
        (64, 4, 2.0, Cores(2, 64, "the CPU quota")),
        (64, 4, 8.0, Cores(4, 64, "the CPU affinity")),
        (64, 64, 64.0, Cores(64, 64, "")),
        (64, 64, 1.9, Cores(1, 64, "the CPU quota")),
        (64, 64, 0.25, Cores(1, 64, "the CPU quota")),
    ],
)
def test_the_affinity_and_the_quota_limit_the_cores(machine, affinity, quota, expected):
    assert count_cores(machine, affinity, quota) == expected


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/", {"cpu.max": "max 100000\n"}, None),
        ("0::/", {}, None),
        ("0::/a.slice/b.service", {"a.slice/b.service/cpu.max": "150000 100000\n"}, 1.5),
        (
            "0::/a.slice/b.service",
            {"a.slice/b.service/cpu.max": "400000 100000\n", "a.slice/cpu.max": "300000 100000\n"},
            3.0,
        ),
        ("0::/other", {"cpu.max": "50000 100000\n"}, 0.5),
        (
            "3:cpu,cpuacct:/\n1:name=systemd:/",
            {"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            2.5,
        ),
        (
            "3:cpu,cpuacct:/docker/abc",
            {"cpu/docker/abc/cpu.cfs_quota_us": "40000\n", "cpu/docker/abc/cpu.cfs_period_us": "20000"},
            2.0,
        ),
        ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("1:cpuset:/", {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("", {"cpu.max": "100000 100000\n"}, None),
    ],
)
def test_the_smallest_quota_of_the_control_groups_applies(tmp_path, groups, files, expected):
    for name, text in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    assert cpu_quota(tmp_path) == expected


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert cpu_quota(tmp_path) is None


def test_this_process_may_use_a_core():
    cores = usable_cores()
    assert 1 <= cores.count <= cores.machine


def test_without_affinities_all_cores_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert usable_cores() == Cores(8, 8, "")


# --- the limit ---


def test_threads_are_lowered_to_the_cores(use):
    use(ONE_OF_64)
    limit_blas_threads()
    assert threads() == {1}


def test_fewer_threads_than_cores_are_not_raised(use):
    use(Cores(3, 64, "the CPU quota"))
    limit_blas_threads()
    assert threads() == {2}


def test_with_all_cores_nothing_is_limited(use):
    use(Cores(1, 1, ""))
    limit_blas_threads()
    assert threads() == {2}


@pytest.mark.parametrize("variable", ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"])
def test_an_environment_variable_takes_precedence(use, monkeypatch, variable):
    use(ONE_OF_64)
    monkeypatch.setenv(variable, "2")
    limit_blas_threads()
    assert threads() == {2}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MKL_NUM_THREADS", "2"),
        *(("OPENBLAS_NUM_THREADS", value) for value in ("", " ", "0", "-1", "all")),
    ],
)
def test_a_variable_without_a_number_or_of_another_library_is_ignored(use, monkeypatch, variable, value):
    use(ONE_OF_64)
    monkeypatch.setenv(variable, value)
    limit_blas_threads()
    assert threads() == {1}


def test_it_is_limited_when_a_function_is_compiled(use):
    backend = get_backend("numpy")
    use(ONE_OF_64)
    backend.jit(lambda x: x)
    assert threads() == {1}


def test_another_python_thread_can_still_set_its_own(use):
    use(Cores(2, 64, "the CPU quota"))
    found = []

    def limit_to_one():
        with threadpool_limits(1, "blas"):
            found.append(threads())

    with threadpool_limits(3, "blas"):
        limit_blas_threads()
        thread = threading.Thread(target=limit_to_one)
        thread.start()
        thread.join()
    assert found == [{1}]


# In a fresh process, OpenBLAS is loaded with all cores; then the process is moved to one.
MOVED = """
import os
import numpy as np
cores = os.sched_getaffinity(0)
os.sched_setaffinity(0, {min(cores)})

from backends import get_backend
from backends.blas_threads import describe_blas
backend, eager = get_backend("numpy"), get_backend("numpy:eager")
print(describe_blas())

generator = np.random.default_rng(0)
x = generator.normal(size=(200, 784)).astype(np.float32)
W = generator.normal(size=(784, 128)).astype(np.float32)
function = lambda x, W: x.T @ (x @ W)
compiled = backend.jit(function, x, W)(x, W)
print(compiled.tobytes() == eager.jit(function, x, W)(x, W).tobytes() == function(x, W).tobytes())
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinities")
def test_a_process_moved_to_one_core_computes_the_same_bits_eagerly_and_compiled():
    cores = len(os.sched_getaffinity(0))
    if cores < 2:
        pytest.skip("this process has one core")
    result = run_python(MOVED, environment=dict.fromkeys(VARIABLES, ""))
    assert result.stderr == ""
    described, same = result.stdout.splitlines()
    assert "1 thread (limited to 1 of " in described
    assert same == "True"


# --- the description ---


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (Cores(2, 2, ""), "2 threads (one per core)"),
        (Cores(2, 64, "the CPU quota"), "2 threads (limited to 2 of 64 cores by the CPU quota)"),
        (Cores(8, 8, ""), "2 threads (fewer than the number of usable cores, 8)"),
        (Cores(1, 1, ""), "2 threads (more than the number of usable cores, 1)"),
    ],
)
def test_the_description_says_how_many_threads_and_why(use, cores, expected):
    use(cores)
    assert describe_blas().endswith(f", {expected}")


def test_the_description_names_the_variable_that_sets_the_threads(use, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert describe_blas().endswith(", 2 threads (OMP_NUM_THREADS is set)")


def test_an_unknown_library_is_described_as_unknown(use, monkeypatch):
    use(ONE_OF_64)
    monkeypatch.setattr(blas_threads, "_numpy_blas", lambda: None)
    limit_blas_threads()
    assert describe_blas() == "a BLAS unknown to threadpoolctl"


def kernels():
    return next(found["architecture"] for found in threadpool_info() if "numpy" in found["filepath"])


def test_the_description_names_the_processor_of_the_kernels(use, monkeypatch):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    assert f" for {kernels()}, 2 threads" in describe_blas()


@pytest.mark.parametrize("processor", ["Zen", "haswell"])
def test_the_description_names_the_variable_that_selects_the_kernels(use, monkeypatch, processor):
    monkeypatch.setenv("OPENBLAS_CORETYPE", processor)
    assert f" for {kernels()} (OPENBLAS_CORETYPE is set), 2 threads" in describe_blas()


def test_the_variable_of_openblas_selects_no_kernels_of_other_libraries(use, monkeypatch):
    blis = SimpleNamespace(internal_api="blis", architecture="zen", version="1.0", num_threads=2)
    monkeypatch.setattr(blas_threads, "_numpy_blas", lambda: blis)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert describe_blas().startswith("BLIS 1.0 for zen, 2 threads")


def test_ctrl_c_on_the_way_into_one_thread_restores_the_others():
    class Library:
        num_threads = 4

        def set_num_threads(self, count):
            self.num_threads = count
            if count == 1:
                raise KeyboardInterrupt

    library = Library()
    one_thread = blas_threads.OneThread(lambda: [library])
    with pytest.raises(KeyboardInterrupt), one_thread():
        pass
    assert (library.num_threads, one_thread.outside) == (4, [])
