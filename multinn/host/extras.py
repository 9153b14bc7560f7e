"""Optional libraries, which the extras of the distribution install."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(name: str, need: str) -> Iterator[None]:
    """Say what to install where an import within the context fails.

    Args:
        name: the name of the extra.
        need: what needs which library, such as "multinn.onnx needs onnx".

    Raises:
        ImportError: the library is not installed, or fails to load.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f'{need} ({error}): pip install "multinn[{name}]"') from error
