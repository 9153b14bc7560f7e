"""The package backends, which another module of that name can hide."""

from importlib.util import find_spec
from pathlib import Path


def hidden_backends() -> str | None:
    """Return what to do about a module that hides the package backends beside multinn, or None.

    No code of that module is run.
    """
    own = Path(__file__).parents[2] / "backends" / "__init__.py"
    found = find_spec("backends")
    if found is None:  # its import tells so
        return None
    origin = found.origin or found.submodule_search_locations
    if Path(str(origin)).parent == own.parent:
        return None
    return (
        f"multinn needs its own package backends, {own}, but on sys.path {origin} comes first: rename "
        "that module, or remove its folder from sys.path"
    )
