"""The data sets of the experiments: scikit-learn's digits, and MNIST.

``load("digits")`` needs no download. ``load("mnist")`` takes MNIST from a folder of IDX files,
where one is named, else from a cache, else from OpenML through scikit-learn. Whatever the source,
it is checked to be MNIST, and nothing is ever put in its place.
"""

import difflib
import hashlib
import importlib
import importlib.util
import json
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from experiments.idx import IdxError, idx_header, read_idx

NAMES: Final = ("digits", "mnist")

DATA_VARIABLE: Final = "MULTINN_DATA"
CACHE_VARIABLE: Final = "MULTINN_CACHE"

#: Each part of MNIST: its file, and the SHA-256 of that file's decompressed content.
MNIST_FILES: dict[str, tuple[str, str]] = {
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

#: How often MNIST has each of the labels 0 to 9.
MNIST_TRAIN_COUNTS: tuple[int, ...] = (
    5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
)  # fmt: skip
MNIST_TEST_COUNTS: tuple[int, ...] = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)

_MNIST_IMAGE_SHAPE: Final = (28, 28)
_MNIST_FEATURES: Final = 28 * 28
_OPENML: Final = "OpenML mnist_784 version 1"
_CHECKSUMS_FILE: Final = "checksums.json"

Bytes = NDArray[np.uint8]


class DatasetError(Exception):
    """A data set that cannot be had, or that is not what it should be."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, split into a training and a test part.

    Attributes:
        name: "digits" or "mnist".
        source: where the data came from, in words.
        x_train: (n_train, features) float32 in [0, 1], one flattened image a row.
        y_train: (n_train,) int32, the labels, 0 to 9.
        x_test: (n_test, features) float32 in [0, 1].
        y_test: (n_test,) int32.
        image_shape: (height, width), whose product is the number of features.
    """

    name: str
    source: str
    x_train: NDArray[np.float32]
    y_train: NDArray[np.int32]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int32]
    image_shape: tuple[int, int]


def load(name: str, *, data_dir: Path | None = None) -> Dataset:
    """Load a data set by name.

    "digits" is bundled with scikit-learn: 1,797 images of 8 x 8, split 75 to 25 in a fixed,
    stratified way. "mnist" is 60,000 + 10,000 images of 28 x 28, and is looked for in this order:

    1. the folder `data_dir`, or else the one that the environment variable MULTINN_DATA names: four
       IDX files, with or without ".gz". A folder that is named is used, or is an error;
    2. the cache: "mnist" in MULTINN_CACHE, or else in multinn in XDG_CACHE_HOME, or else in
       ~/.cache/multinn. A damaged cache is not used, with a warning, and is made anew;
    3. OpenML, through scikit-learn; what is fetched is put into the cache. A cache that cannot be
       written is a warning.

    Args:
        name: "digits" or "mnist".
        data_dir: a folder of MNIST's IDX files.

    Returns:
        The data set: float32 images in [0, 1] and int32 labels.

    Raises:
        DatasetError: the name is unknown; a folder is named for a data set that reads none; the
            named folder is missing, unreadable, incomplete or not MNIST; scikit-learn is needed and
            not installed; or MNIST is in none of the places and could not be fetched.
    """
    if name == "mnist":
        return _load_mnist(data_dir)
    if name == "digits":
        if data_dir is not None:
            raise DatasetError(
                f"the data set 'digits' is not read from a folder, but {data_dir} was named; "
                "leave the folder out, or load 'mnist'"
            )
        return _load_digits()
    close = difflib.get_close_matches(str(name).lower(), NAMES, n=1)
    suggestion = f" Did you mean {close[0]!r}?" if close else ""
    known = ", ".join(repr(known) for known in NAMES)
    raise DatasetError(f"unknown data set {name!r}: expected one of {known}.{suggestion}")


def _load_digits() -> Dataset:
    """Load the digits that are bundled with scikit-learn: 64 features, 1,347 + 450 examples."""
    x, y = _scikit_learn("datasets").load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = _scikit_learn("model_selection").train_test_split(
        (x / 16).astype(np.float32),
        y.astype(np.int32),
        test_size=0.25,
        random_state=0,
        stratify=y,
    )
    return Dataset(
        "digits", "scikit-learn load_digits", x_train, y_train, x_test, y_test, image_shape=(8, 8)
    )


def _load_mnist(data_dir: Path | None) -> Dataset:
    """Load MNIST from the first source that applies; see `load`."""
    named = data_dir or os.environ.get(DATA_VARIABLE)
    if named:
        folder = _expanded(named)
        return _mnist(f"folder {folder}", _read_folder(folder))
    cache = _cache_folder()
    cache_state = "nothing there"
    try:
        cached = _read_cache(cache)
    except DatasetError as error:
        cached, cache_state = None, str(error)
        warnings.warn(f"cache {cache} is not used: {error}; it is made anew", stacklevel=3)
    if cached is not None:
        return _mnist(f"cache {cache}", cached)
    try:
        fetched = _fetch_mnist()
    except DatasetError as error:
        raise DatasetError(_not_found(cache, cache_state, str(error))) from error
    try:
        _write_cache(cache, fetched)
    except OSError as error:
        warnings.warn(f"cache {cache} could not be written: {error}", stacklevel=3)
    return _mnist(_OPENML, fetched)


def _not_found(cache: Path, cache_state: str, fetch_problem: str) -> str:
    """Return the message that says where MNIST was looked for, and what can be done."""
    return (
        "MNIST could not be loaded. Looked in: "
        f"a folder (none is named: neither data_dir nor {DATA_VARIABLE}); "
        f"cache {cache} ({cache_state}); {_OPENML} ({fetch_problem}). "
        "Either name a folder that holds the four IDX files, with --data-dir FOLDER or "
        f"{DATA_VARIABLE}=FOLDER, or connect to the network once, so that scikit-learn can fetch it"
    )


def _mnist(source: str, parts: dict[str, Bytes]) -> Dataset:
    """Return the data set that the four uint8 arrays make."""
    return Dataset(
        name="mnist",
        source=source,
        x_train=_scaled(parts["x_train"]),
        y_train=parts["y_train"].astype(np.int32),
        x_test=_scaled(parts["x_test"]),
        y_test=parts["y_test"].astype(np.int32),
        image_shape=_MNIST_IMAGE_SHAPE,
    )


def _scaled(pixels: Bytes) -> NDArray[np.float32]:
    """Return (n, ...) pixels in 0..255 as (n, features) float32 in [0, 1]."""
    flat = pixels.reshape(len(pixels), -1)
    return cast(NDArray[np.float32], np.divide(flat, np.float32(255), dtype=np.float32))


def _scikit_learn(module: str) -> Any:
    """Return a module of scikit-learn, or raise DatasetError where it is not installed."""
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise DatasetError(
            f'scikit-learn is needed and could not be imported ({error}): pip install "multinn[sklearn]"'
        ) from error


def _expanded(path: str | Path) -> Path:
    """Return the path with a leading ~ replaced."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DatasetError(
            f"{path}: there is no home folder to put for ~ ({error}); name a folder without it, "
            f"in {CACHE_VARIABLE} for the cache"
        ) from error


# A folder of IDX files


def _read_folder(folder: Path) -> dict[str, Bytes]:
    """Read MNIST from a folder of four IDX files.

    Returns:
        x_train (60000, 28, 28), y_train (60000,), x_test (10000, 28, 28), y_test (10000,), uint8.

    Raises:
        DatasetError: the folder is not one, or a file is missing, not a whole IDX file, or not
            MNIST's.
    """
    try:
        present = set(os.listdir(folder))
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"the MNIST folder {folder} cannot be read: {error}; name an existing folder with "
            f"--data-dir or {DATA_VARIABLE}"
        ) from error
    found = {part: _find_file(present, stem) for part, (stem, _) in MNIST_FILES.items()}
    missing = [MNIST_FILES[part][0] for part, name in found.items() if name is None]
    if missing:
        raise DatasetError(
            f"the MNIST folder {folder} lacks {', '.join(missing)} (each may also end in .gz); "
            "all four IDX files are needed"
        )
    return {part: _read_mnist_file(folder / str(name), part) for part, name in found.items()}


def _find_file(present: set[str], stem: str) -> str | None:
    """Return the first spelling of a file's name that is present in the folder."""
    dotted = stem.replace("-idx", ".idx")
    spellings = (stem, f"{stem}.gz", dotted, f"{dotted}.gz")
    return next((name for name in spellings if name in present), None)


def _read_mnist_file(path: Path, part: str) -> Bytes:
    """Read one IDX file, and check its shape and its SHA-256."""
    try:
        array = read_idx(path)
    except IdxError as error:
        raise DatasetError(f"{error}; replace it with MNIST's {MNIST_FILES[part][0]}") from error
    examples, *_ = _expected_shape(part)
    expected_shape = (examples, *_MNIST_IMAGE_SHAPE) if part.startswith("x") else (examples,)
    if array.shape != expected_shape:
        raise DatasetError(
            f"{path}: this is not MNIST: its dimensions are {array.shape}, expected "
            f"{expected_shape}; replace it with MNIST's {MNIST_FILES[part][0]}"
        )
    digest = hashlib.sha256(idx_header(array.shape))
    digest.update(array.reshape(-1).data)
    if digest.hexdigest() != MNIST_FILES[part][1]:
        raise DatasetError(
            f"{path}: this is not MNIST, or it is damaged: the SHA-256 of its content is "
            f"{digest.hexdigest()}, expected {MNIST_FILES[part][1]}; replace it with MNIST's "
            f"{MNIST_FILES[part][0]}"
        )
    return array


# The cache


def _cache_folder() -> Path:
    """Return the folder of the cached MNIST, which need not exist."""
    if named := os.environ.get(CACHE_VARIABLE):
        return _expanded(named) / "mnist"
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says to ignore a relative path.
    return (base if base.is_absolute() else _expanded("~/.cache")) / "multinn" / "mnist"


def _read_cache(folder: Path) -> dict[str, Bytes] | None:
    """Read the cached MNIST.

    Returns:
        x_train (60000, 784), y_train (60000,), x_test (10000, 784), y_test (10000,), uint8; or None
        where there is no cache.

    Raises:
        DatasetError: there is a cache, and it is damaged or unreadable.
    """
    try:
        files = (_CHECKSUMS_FILE, *(f"{part}.npy" for part in MNIST_FILES))
        if not any((folder / name).exists() for name in files):
            return None
        checksums = _read_checksums(folder / _CHECKSUMS_FILE)
        parts = {part: _read_npy(folder / f"{part}.npy", checksums[part]) for part in MNIST_FILES}
    except (OSError, ValueError) as error:
        raise DatasetError(f"it is damaged or unreadable: {error}") from error
    _check_mnist(parts)
    return parts


def _read_checksums(path: Path) -> dict[str, str]:
    """Read the SHA-256 of each cached file; ValueError where the JSON is not that."""
    content = json.loads(path.read_text(encoding="utf-8"))
    checksums = content.get("sha256") if isinstance(content, dict) else None
    if not isinstance(checksums, dict) or checksums.keys() != MNIST_FILES.keys():
        raise ValueError(f"{path.name} does not give the SHA-256 of the four arrays")
    return checksums


def _read_npy(path: Path, checksum: str) -> Bytes:
    """Read an array whose file has the given SHA-256; ValueError where it has another."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
            raise ValueError(f"the SHA-256 of {path.name} is not the one in {_CHECKSUMS_FILE}")
        file.seek(0)
        return cast(Bytes, np.load(file, allow_pickle=False))


def _write_cache(folder: Path, parts: dict[str, Bytes]) -> None:
    """Write the cache whole or not at all; OSError where it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="incomplete-") as temporary:
        staging = Path(temporary)
        checksums = {part: _write_npy(staging / f"{part}.npy", parts[part]) for part in MNIST_FILES}
        with (staging / _CHECKSUMS_FILE).open("w", encoding="utf-8") as file:
            json.dump({"source": _OPENML, "sha256": checksums}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        # The checksums come last: without them, the arrays are not a cache.
        for name in (*(f"{part}.npy" for part in MNIST_FILES), _CHECKSUMS_FILE):
            os.replace(staging / name, folder / name)


def _write_npy(path: Path, array: Bytes) -> str:
    """Write an array to disk and return the SHA-256 of its file."""
    with path.open("xb+") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


# OpenML


def _fetch_mnist() -> dict[str, Bytes]:
    """Fetch MNIST through scikit-learn; arrays as `_read_cache` returns.

    Raises:
        DatasetError: scikit-learn is not installed, nothing could be fetched, or it is not MNIST.
    """
    fetch_openml = _scikit_learn("datasets").fetch_openml
    # scikit-learn's default parser needs pandas.
    parser = "auto" if importlib.util.find_spec("pandas") else "liac-arff"
    try:
        bunch = fetch_openml("mnist_784", version=1, as_frame=False, parser=parser)
        data, target = bunch["data"], bunch["target"]
    # The network, scikit-learn's own cache and its parsers raise many unrelated classes.
    except Exception as error:
        raise DatasetError(f"could not be fetched: {type(error).__name__}: {error}") from error
    train, test = sum(MNIST_TRAIN_COUNTS), sum(MNIST_TEST_COUNTS)
    x = _whole_numbers(data, "pixels", (train + test, _MNIST_FEATURES), largest=255)
    y = _whole_numbers(target, "labels", (train + test,), largest=9)
    parts = {"x_train": x[:train], "y_train": y[:train], "x_test": x[train:], "y_test": y[train:]}
    _check_mnist(parts)
    return parts


def _whole_numbers(values: Any, what: str, shape: tuple[int, ...], *, largest: int) -> Bytes:
    """Return numbers, or strings that spell them, as uint8; DatasetError where they do not fit."""
    array = np.asarray(values)
    if array.shape != shape:
        raise DatasetError(f"the {what} have the shape {array.shape}, expected {shape}")
    try:
        numbers = array if array.dtype.kind in "iuf" else array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"the {what} are not numbers: {error}") from error
    lowest, highest = numbers.min(), numbers.max()
    if not (lowest >= 0 and highest <= largest):
        raise DatasetError(f"the {what} span {lowest} to {highest}, expected 0 to {largest}")
    whole = numbers.astype(np.uint8)
    if not np.array_equal(whole, numbers):
        raise DatasetError(f"the {what} are not all whole numbers")
    return whole


# What every source but a folder is checked for; a folder's SHA-256 says more


def _expected_shape(part: str) -> tuple[int, ...]:
    """Return the shape of one part of MNIST: (examples, 784) or (examples,)."""
    examples = sum(MNIST_TRAIN_COUNTS if part.endswith("train") else MNIST_TEST_COUNTS)
    return (examples, _MNIST_FEATURES) if part.startswith("x") else (examples,)


def _check_mnist(parts: dict[str, Bytes]) -> None:
    """Raise DatasetError unless shapes, types and the count of each label are MNIST's."""
    for part, array in parts.items():
        if array.shape != _expected_shape(part) or array.dtype != np.uint8:
            raise DatasetError(
                f"{part} is {array.dtype} {array.shape}, expected uint8 {_expected_shape(part)}"
            )
    for part, expected in (("y_train", MNIST_TRAIN_COUNTS), ("y_test", MNIST_TEST_COUNTS)):
        counts = tuple(np.bincount(parts[part], minlength=len(expected)).tolist())
        if counts != expected:
            raise DatasetError(f"{part} has the labels 0, 1, ... {counts} times, expected {expected}")
