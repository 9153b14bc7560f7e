"""MNIST from a folder of IDX files or from OpenML, checked to be MNIST."""

import hashlib
import importlib
import importlib.util
import os
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np

from experiments.datasets.cache import Bytes
from experiments.datasets.idx import IdxError, idx_header, read_idx
from experiments.shared.errors import DatasetError

DATA_VARIABLE: Final = "MULTINN_DATA"
OPENML: Final = "OpenML mnist_784 version 1"
IMAGE_SHAPE: Final = (28, 28)

#: For each part of MNIST, the name of its file and the SHA-256 of the file's decompressed content.
FILES: dict[str, tuple[str, str]] = {
    "x_train": (
        "train-images-idx3-ubyte",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "y_train": (
        "train-labels-idx1-ubyte",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "x_test": (
        "t10k-images-idx3-ubyte",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "y_test": (
        "t10k-labels-idx1-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}

#: How often each of the labels 0 to 9 occurs.
TRAIN_COUNTS: tuple[int, ...] = (
    5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
)  # fmt: skip
TEST_COUNTS: tuple[int, ...] = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)

_FEATURES: Final = 28 * 28


def read_folder(folder: Path) -> dict[str, Bytes]:
    """Read MNIST from a folder of four IDX files.

    Returns:
        x_train (60000, 28, 28), y_train (60000,), x_test (10000, 28, 28), y_test (10000,), uint8.

    Raises:
        DatasetError: the folder cannot be read, or a file is missing, damaged or not MNIST's.
    """
    try:
        present = set(os.listdir(folder))
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"the MNIST folder {folder} cannot be read: {error}; name an existing folder with "
            f"--data-dir or {DATA_VARIABLE}"
        ) from error
    found = {part: _find_file(present, stem) for part, (stem, _) in FILES.items()}
    missing = [FILES[part][0] for part, name in found.items() if name is None]
    if missing:
        raise DatasetError(
            f"the MNIST folder {folder} lacks {', '.join(missing)} (each may also end in .gz); "
            "all four IDX files are needed"
        )
    return {part: _read_file(folder / str(name), part) for part, name in found.items()}


def fetch() -> dict[str, Bytes]:
    """Fetch MNIST through scikit-learn, with flattened images.

    Returns:
        x_train (60000, 784), y_train (60000,), x_test (10000, 784), y_test (10000,), uint8.

    Raises:
        DatasetError: scikit-learn is not installed, nothing could be fetched, or it is not MNIST.
    """
    fetch_openml = import_scikit_learn("datasets").fetch_openml
    # scikit-learn's default parser needs pandas.
    parser = "auto" if importlib.util.find_spec("pandas") else "liac-arff"
    try:
        with warnings.catch_warnings():
            # scikit-learn warns before it tries again; the last error is reported below.
            warnings.filterwarnings("ignore", "A network error occurred", UserWarning)
            bunch = fetch_openml("mnist_784", version=1, as_frame=False, parser=parser)
        data, target = bunch["data"], bunch["target"]
    except Exception as error:  # network, cache and parsers raise many unrelated classes
        raise DatasetError(f"could not be fetched: {type(error).__name__}: {error}") from error
    train, test = sum(TRAIN_COUNTS), sum(TEST_COUNTS)
    x = _whole_numbers(data, "pixels", (train + test, _FEATURES), largest=255)
    y = _whole_numbers(target, "labels", (train + test,), largest=9)
    parts = {"x_train": x[:train], "y_train": y[:train], "x_test": x[train:], "y_test": y[train:]}
    check(parts)
    return parts


def check(parts: dict[str, Bytes]) -> None:
    """Check shapes, dtypes and label counts of arrays as `fetch` returns them.

    Raises:
        DatasetError: they are not MNIST's.
    """
    for part, array in parts.items():
        if array.shape != _expected_shape(part) or array.dtype != np.uint8:
            raise DatasetError(
                f"{part} is {array.dtype} {array.shape}, expected uint8 {_expected_shape(part)}"
            )
    for part, expected in (("y_train", TRAIN_COUNTS), ("y_test", TEST_COUNTS)):
        counts = tuple(np.bincount(parts[part], minlength=len(expected)).tolist())
        if counts != expected:
            raise DatasetError(
                f"{part}: expected the labels 0 to 9 to occur {expected} times, got {counts}"
            )


def import_scikit_learn(module: str) -> Any:
    """Return a module of scikit-learn, such as "datasets".

    Raises:
        DatasetError: scikit-learn is not installed.
    """
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise DatasetError(
            f'scikit-learn is needed and could not be imported ({error}): pip install "multinn[sklearn]"'
        ) from error


def _find_file(present: set[str], stem: str) -> str | None:
    """Return the spelling of a file's name that the folder has, None if it has none."""
    dotted = stem.replace("-idx", ".idx")
    spellings = (stem, f"{stem}.gz", dotted, f"{dotted}.gz")
    return next((name for name in spellings if name in present), None)


def _read_file(path: Path, part: str) -> Bytes:
    """Read one IDX file, and check its shape and its SHA-256."""
    examples, *_ = _expected_shape(part)
    shape = (examples, *IMAGE_SHAPE) if part.startswith("x") else (examples,)
    try:
        array = read_idx(path, shape)
    except IdxError as error:
        raise DatasetError(f"{error}; replace it with MNIST's {FILES[part][0]}") from error
    digest = hashlib.sha256(idx_header(array.shape))
    digest.update(array.reshape(-1).data)
    if digest.hexdigest() != FILES[part][1]:
        raise DatasetError(
            f"{path}: this is not MNIST, or it is damaged: the SHA-256 of its content is "
            f"{digest.hexdigest()}, expected {FILES[part][1]}; replace it with MNIST's "
            f"{FILES[part][0]}"
        )
    return array


def _whole_numbers(values: Any, what: str, shape: tuple[int, ...], *, largest: int) -> Bytes:
    """Return integers from 0 to `largest`, given as numbers or as strings, as uint8."""
    array = np.asarray(values)
    if array.shape != shape:
        raise DatasetError(f"the {what} have the shape {array.shape}, expected {shape}")
    try:
        numbers = array if array.dtype.kind in "iuf" else array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"the {what} are not numbers: {error}") from error
    lowest, highest = numbers.min(), numbers.max()
    if not (lowest >= 0 and highest <= largest):
        raise DatasetError(f"the {what} range from {lowest} to {highest}, expected 0 to {largest}")
    whole = numbers.astype(np.uint8)
    if not np.array_equal(whole, numbers):
        raise DatasetError(f"the {what} are not all whole numbers")
    return whole


def _expected_shape(part: str) -> tuple[int, ...]:
    """Return the shape of one part of MNIST: (examples, 784) or (examples,)."""
    examples = sum(TRAIN_COUNTS if part.endswith("train") else TEST_COUNTS)
    return (examples, _FEATURES) if part.startswith("x") else (examples,)
