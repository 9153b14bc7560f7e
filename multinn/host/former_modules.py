"""Former names of modules, for old pickles, which name classes by their modules."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_LAYERS = (
    "batch_norm bidirectional branches channels_last container convolution convolution_transpose "
    "embedding flatten global_pooling gru identity lstm pooling positions rectifiers rescale sequential "
    "simple_rnn transformer"
)
_CURRENT = {
    "multinn.batches": "multinn.training.batches",
    "multinn.history": "multinn.training.history",
    "multinn.programs": "multinn.training.compiled",
    "multinn.trainer": "multinn.training.trainer",
    **{f"multinn.layers.{name}": "multinn.layers" for name in _LAYERS.split()},
}


class FormerModules(MetaPathFinder, Loader):
    """Imports a module under its former name, with the attributes of the current module."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a former module, or None for any other name."""
        return ModuleSpec(fullname, self) if fullname in _CURRENT else None

    def exec_module(self, module: ModuleType) -> None:
        """Make a former module look up its attributes in the current one."""
        current = import_module(_CURRENT[module.__name__])

        def look_up(name: str) -> Any:
            return getattr(current, name)

        module.__dict__["__getattr__"] = look_up


def install() -> None:
    """Make imports find former modules; modules that exist come first."""
    sys.meta_path.append(FormerModules())
