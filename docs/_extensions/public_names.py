"""The directive ``public-names``: an entry in the reference for each public name of some modules.

The names come from the packages themselves, so that a new one appears without an edit of the reference::

    .. public-names:: multinn.layers.images multinn.layers.sequences
"""

import importlib
import inspect
from types import ModuleType
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

# Where users import from. A name that several of these modules have belongs to the first.
PACKAGES = (
    "multinn",
    "multinn.functional",
    "multinn.initializers",
    "multinn.schedules",
    "multinn.random",
    "multinn.tracing",
    "multinn.exchange",
    "multinn.onnx",
    "multinn.sklearn",
    "multinn.testing",
    "multinn.testing.gradients",
    "multinn.testing.oracles",
    "multinn.testing.gradient_cases",
    "backends",
    "backends.tree",
    "backends.conformance",
)

# Bases with an entry of their own; members of other bases are shown with the class that inherits them.
_DESCRIBED = (
    "BaseException, Backend, Callback, Hyperparameters, Initializer, Layer, Loss, Optimizer, Recurrent, "
    "Schedule, list, object, str, tuple"
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive, and a rule for what is left out."""
    app.add_directive("public-names", PublicNames)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the fields of a named tuple, which its signature shows; return None for the default."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def public_names() -> dict[str, str]:
    """Return the module that defines each public name, by the name with which a user imports it."""
    found: dict[str, str] = {}
    objects: list[Any] = []
    for package in map(importlib.import_module, PACKAGES):
        for name, value in vars(package).items():
            if _is_public(package, name, value) and not any(value is other for other in objects):
                objects.append(value)
                found[f"{package.__name__}.{name}"] = value.__module__
    return found


def _is_public(package: ModuleType, name: str, value: Any) -> bool:
    """Return whether the name is a class or a function that the package defines or exports."""
    if name.startswith("_") or not (inspect.isclass(value) or inspect.isfunction(value)):
        return False
    if hasattr(package, "__path__"):  # a package exports what its modules define
        return value.__module__.partition(".")[0] in ("multinn", "backends")
    return bool(value.__module__ == package.__name__)


class PublicNames(SphinxDirective):
    """Write an entry for each public name that these modules, or modules within them, define."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {"inherited-members": str, "exclude-members": str}

    def run(self) -> list[nodes.Node]:
        """Return the entries in the order of the modules, and for each module in alphabetical order."""
        remaining = public_names()
        entries: list[str] = []
        for module in self.arguments[0].split():
            names = [name for name, home in remaining.items() if f"{home}.".startswith(f"{module}.")]
            if not names:
                raise self.error(f"public-names: expected a module with public names, got {module}")
            for name in sorted(names, key=str.casefold):
                del remaining[name]
                entries.append(self._entry(name))
        return self.parse_text_to_nodes("\n".join(entries))

    def _entry(self, name: str) -> str:
        module, _, attribute = name.rpartition(".")
        value = getattr(importlib.import_module(module), attribute)
        if inspect.isfunction(value):
            return f".. autofunction:: {name}\n"
        kind = "autoexception" if issubclass(value, Exception) else "autoclass"
        options = {"members": "", "special-members": "__call__", "inherited-members": _DESCRIBED}
        options |= self.options
        lines = [f"   :{option}: {argument}" for option, argument in options.items()]
        return "\n".join([f".. {kind}:: {name}", *lines, ""])
