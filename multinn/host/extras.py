"""Optional libraries, most of which the extras of the distribution install."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager


def extra(name: str, need: str) -> AbstractContextManager[None]:
    """Return a context in which a failed import says which extra to install, as `package` does."""
    return package(f'"multinn[{name}]"', need)


@contextmanager
def package(name: str, need: str) -> Iterator[None]:
    """Say what to install where an import within the context fails.

    Args:
        name: the name of the package, for pip.
        need: what needs which library, such as "multinn.onnx needs onnx".

    Raises:
        ImportError: the library is not installed, or fails to load.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f"{need} ({error}): pip install {name}") from error
