"""Array libraries behind one thin interface.

>>> from backends import get_backend
>>> backend = get_backend("numpy")
>>> float(backend.xp.sum(backend.from_numpy([1.0, 2.0])))
3.0
"""

from backends.base import Array as Array
from backends.base import Backend as Backend
from backends.base import HostArray as HostArray
from backends.base import Shape as Shape
from backends.eager import EagerBackend as EagerBackend
from backends.errors import BackendError as BackendError
from backends.errors import BackendNotInstalledError as BackendNotInstalledError
from backends.errors import BrokenBackendError as BrokenBackendError
from backends.errors import DeviceNotFoundError as DeviceNotFoundError
from backends.errors import PrecisionError as PrecisionError
from backends.errors import UnknownBackendError as UnknownBackendError
from backends.registry import backend_names as backend_names
from backends.registry import get_backend as get_backend
from backends.registry import installed_backends as installed_backends
from backends.tree import Tree as Tree
