"""Trees of arrays as JSON: each array once, referred to by its index."""

import base64
import math
from typing import Any

import numpy as np

from backends import HostArray, Tree

Json = Any
DTYPES = ("float64", "float32", "int64", "int32", "int8", "uint8", "bool")
_MOST_ENTRIES = 2**28
_MOST_AXES = 32
_MOST_NUMBERS = 64  # of an array that is written as decimal numbers


class ArrayStore:
    """Different arrays, in the order in which they came.

    Equal arrays are stored once. An array of one value is stored as that value, a small array as
    decimal numbers, from which each number is read back exactly, and another one as the base64 code of
    its bytes, little-endian.

    Attributes:
        entries: for JSON; each has ``shape``, ``dtype``, and ``value``, ``values`` or ``base64``.
        nbytes: about how long the entries are as JSON.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.nbytes = 0
        self._indices: dict[Any, int] = {}

    def add(self, tree: Tree) -> Json:
        """Return a tree of NumPy arrays as JSON, with the index of an entry in place of each array.

        Named tuples become objects, other tuples become arrays.

        Raises:
            TypeError: an array has a dtype that is not in `DTYPES`.
        """
        if tree is None:
            return None
        if isinstance(tree, dict):
            return {str(name): self.add(child) for name, child in tree.items()}
        if hasattr(tree, "_fields"):
            return {name: self.add(getattr(tree, name)) for name in tree._fields}
        if isinstance(tree, tuple | list):
            return [self.add(child) for child in tree]
        return self._index(np.asarray(tree))

    def _index(self, array: HostArray) -> int:
        if array.dtype.name not in DTYPES:
            raise TypeError(
                f"expected arrays of one of the dtypes {', '.join(DTYPES)}, got {array.dtype}"
            )
        contents = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        key = (array.shape, array.dtype.name, contents)
        if key not in self._indices:
            entry = {"shape": list(array.shape), "dtype": array.dtype.name, **_contents(array, contents)}
            self._indices[key] = len(self.entries)
            self.entries.append(entry)
            self.nbytes += 60 + len(entry.get("base64", "")) + 20 * len(entry.get("values", ()))
        return self._indices[key]


def _contents(array: HostArray, contents: bytes) -> dict[str, Any]:
    bits = array.dtype.itemsize
    is_constant = array.size > 0 and contents == contents[:bits] * array.size
    if array.size <= _MOST_NUMBERS or is_constant:
        values = array.reshape(-1)[: 1 if is_constant else None].tolist()
        if all(math.isfinite(value) for value in values):  # JSON has no NaN and no infinity
            return {"value": values[0]} if is_constant else {"values": values}
    return {"base64": base64.b64encode(contents).decode()}


def read_array(entry: Any) -> HostArray:
    """Return the array of an entry.

    Raises:
        ValueError: the entry is invalid.
    """
    if not isinstance(entry, dict) or entry.get("dtype") not in DTYPES:
        raise ValueError(f"expected an array with one of the dtypes {', '.join(DTYPES)}")
    shape, dtype = entry.get("shape"), np.dtype(entry["dtype"])
    if (
        not isinstance(shape, list)
        or len(shape) > _MOST_AXES  # a long product takes hours
        or any(type(n) is not int or not 0 <= n <= _MOST_ENTRIES for n in shape)
    ):
        raise ValueError(
            f"expected the shape of an array, at most {_MOST_AXES} integers from 0 to "
            f"{_MOST_ENTRIES:,}, got {shape!r:.80}"
        )
    size = math.prod(shape)
    if size > _MOST_ENTRIES:
        raise ValueError(f"expected an array of at most {_MOST_ENTRIES:,} numbers, got shape {shape}")
    if "value" in entry:
        return np.broadcast_to(_numbers([entry["value"]], dtype).reshape(()), tuple(shape))
    if "values" in entry:
        values = _numbers(entry["values"], dtype)
    else:
        values = np.frombuffer(_bytes(entry.get("base64")), dtype.newbyteorder("<")).astype(dtype)
    if values.size != size:
        raise ValueError(f"expected {size} numbers for an array of shape {shape}, got {values.size}")
    return values.reshape(shape)


def _numbers(values: Any, dtype: np.dtype[Any]) -> HostArray:
    kinds = {"f": (int, float), "i": (int,), "u": (int,), "b": (bool,)}[dtype.kind]
    if not isinstance(values, list) or any(type(value) not in kinds for value in values):
        raise ValueError(f"expected a list of numbers of the dtype {dtype}, got {values!r:.80}")
    try:
        with np.errstate(over="raise"):
            return np.array(values, dtype)
    except ArithmeticError as error:
        raise ValueError(f"expected numbers in the range of {dtype}: {error}") from error


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ValueError(f"expected an array with value, values or base64, got {text!r:.80}")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"expected the base64 code of an array: {error}") from error
