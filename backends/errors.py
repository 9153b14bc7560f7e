"""What can go wrong with a backend, each its own type."""


class BackendError(Exception):
    """Base class of all errors about backends.

    Attributes:
        origin: added to the message: where the name of the backend came from.
    """

    origin = ""

    def __str__(self) -> str:
        return f"{super().__str__()}{self.origin}"


class UnknownBackendError(BackendError, ValueError):
    """No backend has that name."""


class BackendNotInstalledError(BackendError, ImportError):
    """The backend is known, the library that it needs is not installed."""


class BrokenBackendError(BackendError):
    """The backend is installed and fails to load, or does not keep the contract."""


class DeviceNotFoundError(BackendError, ValueError):
    """The backend loads, but has no such device."""


class PrecisionError(BackendError, ValueError):
    """A dtype was asked for that cannot be had."""
