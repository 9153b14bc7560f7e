"""The data sets of the experiments: scikit-learn's digits, and MNIST.

``load("digits")`` needs no download. ``load("mnist")`` takes MNIST from a folder of IDX files,
where one is named, else from a cache, else from OpenML through scikit-learn. Whatever the source,
it is checked to be MNIST, and nothing is ever put in its place.
"""

import difflib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from experiments.datasets import mnist
from experiments.datasets.cache import Bytes, cache_folder, expand_home, read_cache, write_cache
from experiments.datasets.mnist import DATA_VARIABLE, OPENML, import_scikit_learn
from experiments.shared.errors import DatasetError as DatasetError

NAMES: Final = ("digits", "mnist")


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
    x, y = import_scikit_learn("datasets").load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = import_scikit_learn("model_selection").train_test_split(
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
        folder = expand_home(named)
        return _mnist(f"folder {folder}", mnist.read_folder(folder))
    cache = cache_folder("mnist")
    cache_state = "nothing there"
    try:
        cached = _read_cache(cache)
    except DatasetError as error:
        cached, cache_state = None, str(error)
        warnings.warn(f"cache {cache} is not used: {error}; it is made anew", stacklevel=3)
    if cached is not None:
        return _mnist(f"cache {cache}", cached)
    try:
        fetched = mnist.fetch()
    except DatasetError as error:
        raise DatasetError(_not_found(cache, cache_state, str(error))) from error
    try:
        write_cache(cache, fetched, OPENML)
    except OSError as error:
        warnings.warn(f"cache {cache} could not be written: {error}", stacklevel=3)
    return _mnist(OPENML, fetched)


def _read_cache(folder: Path) -> dict[str, Bytes] | None:
    """Read the cached MNIST, or return None where there is none; DatasetError where it is damaged."""
    parts = read_cache(folder, mnist.FILES)
    if parts is not None:
        mnist.check(parts)
    return parts


def _not_found(cache: Path, cache_state: str, fetch_problem: str) -> str:
    """Return the message that says where MNIST was looked for, and what can be done."""
    return (
        "MNIST could not be loaded. Looked in: "
        f"a folder (none is named: neither data_dir nor {DATA_VARIABLE}); "
        f"cache {cache} ({cache_state}); {OPENML} ({fetch_problem}). "
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
        image_shape=mnist.IMAGE_SHAPE,
    )


def _scaled(pixels: Bytes) -> NDArray[np.float32]:
    """Return (n, ...) pixels in 0..255 as (n, features) float32 in [0, 1]."""
    flat = pixels.reshape(len(pixels), -1)
    return cast(NDArray[np.float32], np.divide(flat, np.float32(255), dtype=np.float32))
