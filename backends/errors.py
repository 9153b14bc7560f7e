"""The exceptions of backends."""


class BackendError(Exception):
    """Base class of all errors about backends.

    Attributes:
        origin: where the name of the backend or folder came from; appended to the message.
    """

    origin = ""

    def __str__(self) -> str:
        return f"{super().__str__()}{self.origin}"


class UnknownBackendError(BackendError, ValueError):
    """No backend has that name."""


class BackendNotInstalledError(BackendError, ImportError):
    """The library that a known backend needs is not installed."""


class BrokenBackendError(BackendError):
    """The backend is installed, but fails to load or does not keep the contract."""


class DeviceNotFoundError(BackendError, ValueError):
    """The backend loads, but has no such device."""


class PrecisionError(BackendError, ValueError):
    """A requested dtype is not available."""
