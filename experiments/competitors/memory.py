"""The peak of this process's resident memory."""

import sys
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


class PeakMemory:
    """The rise of the resident memory since this object was created."""

    def __init__(self) -> None:
        """Start counting."""
        if _STATUS.exists():
            with suppress(OSError):  # if this fails, an earlier peak may count
                _RESET.write_text("5", encoding="ascii")  # resets the peak
        self._before = _resident_megabytes("VmRSS")

    def megabytes(self) -> float | None:
        """Return the rise in megabytes (10**6 bytes); None if the platform does not report it."""
        peak = _resident_megabytes("VmHWM")
        if peak is None or self._before is None:
            return None
        return max(peak - self._before, 0.0)


def _resident_megabytes(linux_field: str) -> float | None:
    """Return a field of Linux's status of the process; on other systems the peak.

    `getrusage` is wrong on Linux: a new process starts with its parent's peak.
    """
    if _STATUS.exists():
        fields = dict(line.split(":", 1) for line in _STATUS.read_text("ascii").splitlines())
        return int(fields[linux_field].split()[0]) * 1024 / 1e6
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
