"""The version of the library."""

from importlib.metadata import PackageNotFoundError, version


def own_version() -> str:
    """Return the version of multinn that is installed."""
    try:
        return version("multinn")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "not installed"
