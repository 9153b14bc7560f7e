"""The peak of this process's resident memory."""

import sys
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


class PeakMemory:
    """How far the resident memory has risen above what it was when this object was made."""

    def __init__(self) -> None:
        """Start counting from here."""
        if _STATUS.exists():
            with suppress(OSError):  # then an earlier peak may count, too
                _RESET.write_text("5", encoding="ascii")  # the peak so far is forgotten
        self._before = _resident_megabytes("VmRSS")

    def megabytes(self) -> float | None:
        """Return the rise in megabytes (10**6 bytes); None where the platform does not tell."""
        peak = _resident_megabytes("VmHWM")
        if peak is None or self._before is None:
            return None
        return max(peak - self._before, 0.0)


def _resident_megabytes(linux_field: str) -> float | None:
    """Return a figure of Linux's, else the peak, as all that other systems keep.

    On Linux, `getrusage` would not do: a new process begins with its parent's peak.
    """
    if _STATUS.exists():
        fields = dict(line.split(":", 1) for line in _STATUS.read_text("ascii").splitlines())
        return int(fields[linux_field].split()[0]) * 1024 / 1e6
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
