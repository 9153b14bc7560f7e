"""No more threads of NumPy's BLAS than cores that this process may use, and how many there are."""

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

# What the library is called, and by which variables a user sets its threads.
_LIBRARIES = {
    "openblas": ("OpenBLAS", ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")),
    "mkl": ("MKL", ("MKL_NUM_THREADS", "OMP_NUM_THREADS")),
    "blis": ("BLIS", ("BLIS_NUM_THREADS", "OMP_NUM_THREADS")),
}

_KERNELS = "OPENBLAS_CORETYPE"  # the variable by which a user chooses the kernels of OpenBLAS


@dataclass(frozen=True)
class Cores:
    """The cores that this process may use.

    Attributes:
        count: how many.
        machine: how many there are.
        limit: what withholds the others; empty if there are none.
    """

    count: int
    machine: int
    limit: str


def limit_blas_threads() -> None:
    """Lower the threads of NumPy's BLAS to the cores that this process may use.

    Threads without a core of their own are what hurts: those of OpenBLAS spin while they wait, and take
    the time from the one that works. Measured with OpenBLAS 0.3.31 on 2 cores that others use, too: in
    a process forked and then moved to one of them, a product of 200x784 and 784x128 takes 8 ms in two
    threads and 0.4 ms in one. With a quota of one core, an epoch of 784-128-10 on 12,800 examples takes
    1.6 to 6.6 s in two threads and 0.24 s in one. OpenBLAS knows the affinity that a process has when it
    is loaded, but no change of it, and no quota.

    Up to one thread a core, the library chooses: OpenBLAS does products of up to 262,144
    multiplications in one thread, and beyond that, 2 threads were always faster than one.

    Another number of threads gives other last bits. So the number depends on the machine and its
    configuration alone. How busy the cores are does not count, as a run would differ from its
    repetition. The limit is for the whole process, and stays: lifted after each computation, it would
    be lifted under that of another Python thread, or leave what is computed eagerly to another number.

    It does nothing where a variable such as OPENBLAS_NUM_THREADS is set, or the threads are fewer, and
    costs 0.2 ms where all cores may be used. BLAS that other libraries bring along is left alone.
    """
    cores = usable_cores()
    if cores.count >= cores.machine:
        return
    blas = _numpy_blas()
    if blas is None or blas.num_threads <= cores.count or _variable(blas):
        return
    blas.set_num_threads(cores.count)
    # From threadpoolctl 3.8 on, else no other Python thread could set a limit of its own.
    getattr(blas, "clear_controlling_thread", lambda: None)()


def describe_blas() -> str:
    """Return NumPy's BLAS, its version and kernels, its threads, and why there are so many.

    Kernels are those of a processor, where the library has several. They can take twice the time of the
    best, and differ in the last bits: on a Zen 5 processor, those for Haswell, which some environments
    ask for so that all machines give the same bits, leave AVX-512 unused.
    """
    blas = _numpy_blas()
    if blas is None:
        return "a BLAS unknown to threadpoolctl"
    threads = blas.num_threads
    name = " ".join(filter(None, [_library(blas)[0], blas.version, _kernels(blas)]))
    reason = _reason(threads, _variable(blas), usable_cores())
    return f"{name}, {threads} thread{'s' if threads > 1 else ''} ({reason})"


def _kernels(blas: Any) -> str:
    processor = getattr(blas, "architecture", None)
    if not processor:
        return ""
    is_chosen = blas.internal_api == "openblas" and os.environ.get(_KERNELS)
    return f"for {processor}" + (f" ({_KERNELS} is set)" if is_chosen else "")


def _reason(threads: int, variable: str, cores: Cores) -> str:
    if variable:
        return f"{variable} is set"
    if threads > cores.count:
        return f"more than the cores that this process may use, {cores.count}"
    if threads < cores.count:
        return f"fewer than the cores that this process may use, {cores.count}"
    if cores.limit:
        return f"limited to {cores.count} of {cores.machine} cores by {cores.limit}"
    return "one for each core"


def usable_cores() -> Cores:
    """Return the cores that this process may use: by its affinity, and by its quota of time."""
    if not hasattr(os, "sched_getaffinity"):
        cores = os.cpu_count() or 1
        return count_cores(cores, cores, None)
    machine = os.sysconf("SC_NPROCESSORS_CONF")  # of which OpenBLAS starts; os.cpu_count can be set
    affinity = os.sched_getaffinity(os.getpid())  # that of the main thread: others may be pinned each
    return count_cores(machine, len(affinity), cpu_quota())


def count_cores(machine: int, affinity: int, quota: float | None) -> Cores:
    """Return the cores that can be used.

    A quota is rounded down, to 1 at least: what a thread too many costs is more than it brings.

    Args:
        machine: the cores that there are.
        affinity: how many of them the process may run on.
        quota: how many may be busy all the time; None for all.

    >>> count_cores(machine=64, affinity=64, quota=2.5)
    Cores(count=2, machine=64, limit='the CPU quota')
    """
    count, limit = affinity, "the CPU affinity" if affinity < machine else ""
    if quota is not None and quota < affinity:
        count, limit = max(int(quota), 1), "the CPU quota"
    return Cores(count, max(machine, count), limit)


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return how many cores may be busy all the time; None if there is no quota.

    Linux has quotas in control groups, of version 1 or 2 (its documentation, admin-guide/cgroup-v1 and
    cgroup-v2). The least one counts, of the group of this process and of those above. In a container,
    the file system may begin at its own group: the folder of the name is missing, and the root counts.

    Args:
        root: where `proc` and `sys` are.
    """
    quotas = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounted = root / ("sys/fs/cgroup/cpu" if controllers else "sys/fs/cgroup")
        group = PurePosixPath(name.lstrip("/"))
        quotas += [_quota(mounted / folder) for folder in (group, *group.parents)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(group: Path) -> float | None:
    names = ("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us")  # the first is both, of version 2
    try:
        quota, period = (int(word) for name in names for word in _read(group / name).split())
    except ValueError:  # "max", or nothing
        return None
    return quota / period if quota > 0 and period > 0 else None


def _read(path: Path) -> str:
    try:
        return os.fsdecode(path.read_bytes())
    except OSError:
        return ""


def _numpy_blas() -> Any:
    """Return threadpoolctl's controller of NumPy's BLAS; None where it knows none."""
    from threadpoolctl import ThreadpoolController  # here, as with all cores at hand nothing needs it

    own = os.path.dirname(os.path.realpath(np.__file__))  # in a wheel, it is there, or in numpy.libs
    libraries = [found for found in ThreadpoolController().lib_controllers if found.user_api == "blas"]
    return min(libraries, key=lambda found: not found.filepath.startswith(own), default=None)


def _variable(blas: Any) -> str:
    """Return the environment variable by which a user has set the threads; empty if there is none.

    What does not begin with a number above 0 counts for nothing in the library either.
    """
    names = _library(blas)[1]
    return next((name for name in names if re.match(r"\s*0*[1-9]", os.environ.get(name, ""))), "")


def _library(blas: Any) -> tuple[str, tuple[str, ...]]:
    return _LIBRARIES.get(blas.internal_api, (blas.internal_api, ("OMP_NUM_THREADS",)))
