"""Limit the threads of NumPy's BLAS to the cores that this process may use."""

import functools
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

import numpy as np

# The name of each library, and the environment variables that set its threads.
_LIBRARIES = {
    "openblas": ("OpenBLAS", ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")),
    "mkl": ("MKL", ("MKL_NUM_THREADS", "OMP_NUM_THREADS")),
    "blis": ("BLIS", ("BLIS_NUM_THREADS", "OMP_NUM_THREADS")),
}

_KERNELS = "OPENBLAS_CORETYPE"  # the environment variable that selects OpenBLAS's kernels
_FOR_SMALL_PRODUCTS = ("SkylakeX", "Cooperlake", "SapphireRapids")  # kernels of OpenBLAS, for AVX-512


@dataclass(frozen=True)
class Cores:
    """The cores that this process may use.

    Attributes:
        count: their number.
        machine: the number of cores in the machine.
        limit: what makes the other cores unavailable; empty if all are available.
    """

    count: int
    machine: int
    limit: str


def limit_blas_threads() -> None:
    """Lower the number of threads of NumPy's BLAS to the cores that this process may use.

    More threads than cores are slow: waiting threads of OpenBLAS spin, and take time from the one that
    works. Measured with OpenBLAS 0.3.31 on 2 shared cores: in a process that is forked and then moved to
    one core, a product of 200x784 and 784x128 takes 8 ms in two threads and 0.4 ms in one. With a quota
    of one core, an epoch of 784-128-10 on 12,800 examples takes 1.6 to 6.6 s in two threads and 0.24 s
    in one. OpenBLAS reads the affinity when it is loaded; it notices no later change, and no quota.

    Up to one thread per core, the library decides: OpenBLAS uses one thread for products of up to
    262,144 multiplications; for larger products, 2 threads were always faster than one.

    The last bits of a product depend on the number of threads. That number therefore depends on the
    machine and its configuration only, not on the load, so that runs can be repeated. The limit is
    permanent and for the whole process: to lift it after each computation would lift it for other Python
    threads too, and eager computations would use another number.

    The limit is not set if a variable such as OPENBLAS_NUM_THREADS is set, or if the threads are few
    enough. The BLAS of other libraries is left alone. A call costs 0.2 ms if all cores may be used.
    """
    cores = usable_cores()
    if cores.count >= cores.machine:
        return
    blas = _numpy_blas()
    if blas is None or blas.num_threads <= cores.count or _variable(blas):
        return
    _set_threads([blas], [cores.count])


def blas_thread_count() -> int:
    """Return the number of threads of NumPy's BLAS outside of `one_blas_thread`; 1 if it is unknown."""
    blas, _ = _once()
    return max(one_blas_thread.outside or [blas.num_threads]) if blas else 1


def thread_count() -> int:
    """Return the number of threads that NumPy's BLAS uses, at most the usable cores; 1 if it is unknown.

    It follows the limits of threadpoolctl and the CPU affinity; the quota of CPU time is read once. A
    call takes a few microseconds. Within `one_blas_thread`, it is the number outside of it.
    """
    return min(blas_thread_count(), _once()[1], _affinity())


@functools.cache
def has_small_kernels() -> bool:
    """Return whether NumPy's BLAS has kernels for small products, which copy nothing.

    Those of OpenBLAS are for processors with AVX-512. Others pack the matrices of each product first.
    """
    return getattr(_once()[0], "architecture", "") in _FOR_SMALL_PRODUCTS


class OneThread:
    """Contexts in which some libraries compute in one thread.

    The limit is for the whole process. Contexts may be nested, and those of several Python threads may
    overlap.

    Attributes:
        outside: the threads of each library outside of all contexts; empty if there is no context.
    """

    def __init__(self, find: Callable[[], list[Any]]) -> None:
        """Take a function that returns threadpoolctl's controllers of the libraries."""
        self._find = find
        self.outside: list[int] = []
        self._contexts: set[object] = set()
        self._lock = Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Enter a context."""
        context, libraries = object(), self._find()
        try:  # from here on, as Ctrl-C may come at any time
            with self._lock:
                self._contexts.add(context)
                if not self.outside:
                    self.outside = [library.num_threads for library in libraries]
                    _set_threads(libraries, [1] * len(libraries))
            yield
        finally:
            with self._lock:
                self._contexts.discard(context)
                if not self._contexts:
                    _set_threads(libraries, self.outside)
                    self.outside = []

    def _after_fork(self) -> None:
        """Leave the contexts of all threads in a forked process, which has none of these threads."""
        self._contexts, self._lock = set(), Lock()
        if self.outside:
            _set_threads(self._find(), self.outside)
            self.outside = []


def _set_threads(libraries: list[Any], counts: list[int]) -> None:
    for library, count in zip(libraries, counts, strict=False):  # no counts: nothing was limited
        library.set_num_threads(count)
        # threadpoolctl 3.8 and later would let no other Python thread set a limit.
        getattr(library, "clear_controlling_thread", lambda: None)()


def _found_once() -> list[Any]:
    blas, _ = _once()
    return [blas] if blas else []


one_blas_thread = OneThread(_found_once)
"""Contexts in which NumPy's BLAS has one thread, as threads of our own share the work.

After a product in several threads, those of OpenBLAS spin for a tenth of a second, and take half of a
core from ours. Measured with OpenBLAS 0.3.31 on 2 cores: an epoch of 3-32-32-64 convolutions and a dense
layer takes 1.5 s, and 1.1 s with this limit. A product of another Python thread may have other last bits
meanwhile.
"""


@functools.cache
def _once() -> tuple[Any, int]:
    """Return NumPy's BLAS and the cores of the quota, which cost more to find than to use."""
    return _numpy_blas(), count_cores(sys.maxsize, sys.maxsize, cpu_quota()).count


def describe_blas() -> str:
    """Return the name of NumPy's BLAS, its version and kernels, its number of threads and the reason.

    A library may have kernels for several processors, which differ in speed and in the last bits. Some
    environments select Haswell's so that all machines give the same bits; on a Zen 5 processor they
    leave AVX-512 unused, and can take twice the time of the best.
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
    is_selected = blas.internal_api == "openblas" and os.environ.get(_KERNELS)
    return f"for {processor}" + (f" ({_KERNELS} is set)" if is_selected else "")


def _reason(threads: int, variable: str, cores: Cores) -> str:
    if variable:
        return f"{variable} is set"
    if threads > cores.count:
        return f"more than the number of usable cores, {cores.count}"
    if threads < cores.count:
        return f"fewer than the number of usable cores, {cores.count}"
    if cores.limit:
        return f"limited to {cores.count} of {cores.machine} cores by {cores.limit}"
    return "one per core"


def usable_cores() -> Cores:
    """Return the cores that this process may use, by its CPU affinity and its quota of CPU time."""
    if not hasattr(os, "sched_getaffinity"):
        return count_cores(_affinity(), _affinity(), None)
    machine = os.sysconf("SC_NPROCESSORS_CONF")  # as OpenBLAS counts; os.cpu_count can be overridden
    return count_cores(machine, _affinity(), cpu_quota())


def _affinity() -> int:
    """Return the number of cores that the process may run on."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    return len(os.sched_getaffinity(os.getpid()))  # of the main thread; others may be pinned


def count_cores(machine: int, affinity: int, quota: float | None) -> Cores:
    """Return the usable cores.

    A quota is rounded down, to at least 1: one thread too many costs more than it gains.

    Args:
        machine: the number of cores in the machine.
        affinity: the number of cores that the process may run on.
        quota: the CPU time it may use, in cores; None for all.

    >>> count_cores(machine=64, affinity=64, quota=2.5)
    Cores(count=2, machine=64, limit='the CPU quota')
    """
    count, limit = affinity, "the CPU affinity" if affinity < machine else ""
    if quota is not None and quota < affinity:
        count, limit = max(int(quota), 1), "the CPU quota"
    return Cores(count, max(machine, count), limit)


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the quota of CPU time, in cores; None if there is none.

    Linux sets quotas in control groups of version 1 or 2 (its documentation, admin-guide/cgroup-v1 and
    cgroup-v2). The smallest quota of this process's group and its ancestors applies. A container may see
    its own group as the root of the file system: then only the root exists, and its quota applies.

    `os.process_cpu_count` ignores quotas; `loky.cpu_count` needs a dependency.

    Args:
        root: the folder that contains `proc` and `sys`.
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
    """Return threadpoolctl's controller of NumPy's BLAS; None if it finds none."""
    from threadpoolctl import ThreadpoolController  # not needed if all cores may be used

    own = os.path.dirname(os.path.realpath(np.__file__))  # a wheel has it there, or in numpy.libs
    libraries = [found for found in ThreadpoolController().lib_controllers if found.user_api == "blas"]
    return min(libraries, key=lambda found: not found.filepath.startswith(own), default=None)


def _variable(blas: Any) -> str:
    """Return the environment variable that sets the threads; empty if none does.

    The libraries ignore values that do not begin with a number above 0.
    """
    names = _library(blas)[1]
    return next((name for name in names if re.match(r"\s*0*[1-9]", os.environ.get(name, ""))), "")


def _library(blas: Any) -> tuple[str, tuple[str, ...]]:
    return _LIBRARIES.get(blas.internal_api, (blas.internal_api, ("OMP_NUM_THREADS",)))
