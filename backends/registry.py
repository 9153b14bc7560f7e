"""Backends by name: built in, registered by entry points, or given as a class."""

import os
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from backends.base import Backend
from backends.errors import (
    BackendError,
    BackendNotInstalledError,
    BrokenBackendError,
    DeviceNotFoundError,
    UnknownBackendError,
)

ENVIRONMENT_VARIABLE = "MULTINN_BACKEND"
COMPILATION_CACHE_VARIABLE = "MULTINN_COMPILATION_CACHE"
ENTRY_POINT_GROUP = "multinn.backends"

_OWN = {
    "numpy": "backends.numpy_backend:NumpyBackend",
    "jax": "backends.jax_backend:JaxBackend",
    "torch": "backends.torch_backend:TorchBackend",
    "cupy": "backends.cupy_backend:CupyBackend",
}
_REMEDY = "repair the installation of its library, or use another backend, such as 'numpy'"
_INSTALL = {name: f'pip install "multinn[{name}]"' for name in ("jax", "torch", "cupy")}


def get_backend(backend: str | Backend | None = None) -> Backend:
    """Return the backend of that name; the same instance each time.

    If the environment variable MULTINN_COMPILATION_CACHE names a folder, a new backend keeps its
    compiled programs there, as `Backend.keep_compiled` describes.

    Args:
        backend: a name such as ``numpy``, ``jax``, ``jax:cpu`` or ``jax:gpu:1``; or a class that is not
            registered, as ``package.module:Class`` or ``package.module:Class:device``; or None for the
            value of the environment variable MULTINN_BACKEND (``numpy`` if it is unset or empty); or a
            Backend, which is returned unchanged.

    Raises:
        TypeError: ``backend`` has another type.
        UnknownBackendError: there is no backend of that name.
        BackendNotInstalledError: the library that it needs is missing.
        BrokenBackendError: it fails to load, or does not keep the contract.
        DeviceNotFoundError: it has no such device.
        BackendError: MULTINN_COMPILATION_CACHE names no folder, and none can be made there.

    >>> get_backend("numpy")
    NumpyBackend(device='cpu')
    """
    if isinstance(backend, Backend):
        return backend
    if backend is not None:
        if not isinstance(backend, str):
            raise TypeError(
                f"backend: expected a Backend or the name of one, such as 'numpy', got {backend!r}"
            )
        return _construct(backend)
    try:
        return _construct(os.environ.get(ENVIRONMENT_VARIABLE) or "numpy")
    except BackendError as error:
        error.origin = error.origin or f" (requested by the environment variable {ENVIRONMENT_VARIABLE})"
        raise


def backend_names() -> list[str]:
    """Return the names of all registered backends, whether or not they can be loaded."""
    return list(_registered())


def installed_backends() -> list[str]:
    """Return the names of the registered backends that work on this machine, the default first.

    A backend is left out if its library is not installed or finds no device.

    Raises:
        BrokenBackendError: a backend is installed, but fails to load.
    """
    installed = []
    for name in backend_names():
        try:
            get_backend(name)
        except (BackendNotInstalledError, DeviceNotFoundError):
            continue
        installed.append(name)
    return installed


@cache
def _construct(specification: str) -> Backend:
    entry, device = _find(specification)
    factory = _load(entry)
    folder = _compilation_cache()
    try:
        backend = factory(device)
    except BackendError:
        raise
    except Exception as error:
        place = f"device {device!r}" if device else "its default device"
        raise BrokenBackendError(
            f"backend {entry.name!r} failed to start on {place}: {type(error).__name__}: {error}; "
            f"{_remedy(entry, factory)}"
        ) from error
    if not isinstance(backend, Backend):
        raise BrokenBackendError(
            f"backend {entry.name!r}: {entry.value} returned a {type(backend).__name__}, "
            "expected an instance of backends.Backend; name a class that derives from it"
        )
    backend._remake = get_backend, (f"{entry.name}:{backend.device}",)
    if folder:
        backend.keep_compiled(folder)
    return backend


def _compilation_cache() -> Path | None:
    """Return the folder that the environment names for compiled programs, after making it, or None."""
    named = os.environ.get(COMPILATION_CACHE_VARIABLE)
    if not named:
        return None
    try:
        folder = Path(named).expanduser().absolute()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError, ValueError) as error:
        wrong = BackendError(f"expected a folder for compiled programs, got {named!r}: {error}")
        wrong.origin = f" (requested by the environment variable {COMPILATION_CACHE_VARIABLE})"
        raise wrong from error
    return folder


def _remedy(entry: EntryPoint, factory: Any) -> str:
    if entry.name != entry.value or (isinstance(factory, type) and issubclass(factory, Backend)):
        return _REMEDY
    return f"expected module:Class with a class of backends.Backend, got {factory!r:.80}"


def _find(specification: str) -> tuple[EntryPoint, str | None]:
    """Return the entry point of a backend's class, and the device if the specification names one."""
    name, colon, device = specification.partition(":")
    registered = _registered()
    if name in registered:
        return registered[name], device if colon else None
    attribute, colon, device = device.partition(":")
    if not all(part.isidentifier() for part in (*name.split("."), attribute)):
        raise UnknownBackendError(_unknown(name))
    place = f"{name}:{attribute}"
    return EntryPoint(place, place, ENTRY_POINT_GROUP), device if colon else None


def _registered() -> dict[str, EntryPoint]:
    own = {name: EntryPoint(name, value, ENTRY_POINT_GROUP) for name, value in _OWN.items()}
    others = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return own | {name: others[name] for name in sorted(others) if name not in own}


def _unknown(name: str) -> str:
    names = backend_names()
    close = get_close_matches(name.lower(), names, n=1)
    suggestion = f"; did you mean {close[0]!r}?" if close else ""
    return (
        f"unknown backend {name!r}, expected one of {', '.join(names)}, or module:Class for an "
        f"unregistered one{suggestion}"
    )


def _load(entry: EntryPoint) -> Any:
    is_registered = entry.name != entry.value
    try:
        module = import_module(entry.module)
    except ModuleNotFoundError as error:
        missing = error.name or "a module"
        if not is_registered and f"{entry.module}.".startswith(f"{missing}."):
            raise UnknownBackendError(_unknown(entry.module)) from error
        install = _INSTALL.get(entry.name, f"pip install {missing.partition('.')[0]}")
        raise BackendNotInstalledError(
            f"backend {entry.name!r} needs {missing}, which is not installed: {install}"
        ) from error
    except Exception as error:
        raise BrokenBackendError(
            f"backend {entry.name!r}, the class {entry.value}, fails to load: "
            f"{type(error).__name__}: {error}; {_REMEDY}"
        ) from error
    if hasattr(module, entry.attr):
        return getattr(module, entry.attr)
    if is_registered:
        raise BrokenBackendError(
            f"backend {entry.name!r}: {entry.module} has no class {entry.attr}; {_REMEDY}"
        )
    raise UnknownBackendError(f"{_unknown(entry.name)}; {entry.module} has no {entry.attr!r}")
