"""The data sets of the experiments: scikit-learn's digits, and MNIST.

``load("digits")`` needs no download. ``load("mnist")`` reads a folder of IDX files if one is named,
else a cache, else OpenML through scikit-learn. Whatever the source, the data is checked to be MNIST,
and nothing is ever substituted for it.
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
from experiments.datasets.cache import Bytes, cache_path, expand_home, read_cache, write_cache
from experiments.datasets.mnist import DATA_VARIABLE, OPENML, import_scikit_learn
from experiments.shared.errors import DatasetError as DatasetError

NAMES: Final = ("digits", "mnist")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, split into a training and a test set.

    Attributes:
        name: "digits" or "mnist".
        source: describes where the data came from.
        x_train: (n_train, features) float32 in [0, 1], a flattened image in each row.
        y_train: (n_train,) int32, the labels, 0 to 9.
        x_test: (n_test, features) float32 in [0, 1].
        y_test: (n_test,) int32.
        image_shape: (height, width); features = height * width.
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

    "digits" is bundled with scikit-learn: 1,797 images of 8 x 8, in a fixed stratified split of 75 %
    to 25 %. "mnist" has 60,000 + 10,000 images of 28 x 28. The sources are tried in this order:

    1. a folder of four IDX files, with or without ".gz": `data_dir`, else the environment variable
       MULTINN_DATA. If a folder is named, no other source is tried;
    2. the cache: mnist.npz in MULTINN_CACHE, else in multinn in XDG_CACHE_HOME, else in
       ~/.cache/multinn. A damaged cache gives a warning and is replaced;
    3. OpenML, through scikit-learn. The result is cached; if it cannot be, there is a warning.

    Args:
        name: "digits" or "mnist".
        data_dir: a folder of MNIST's IDX files.

    Raises:
        DatasetError: the name is unknown; a folder is named for "digits"; the folder is missing,
            unreadable, incomplete or not MNIST; scikit-learn is needed and not installed; or MNIST
            could not be fetched.
    """
    if name == "mnist":
        return _load_mnist(data_dir)
    if name == "digits":
        if data_dir is not None:
            raise DatasetError(
                f"the data set 'digits' is not read from a folder, got {data_dir}; leave the folder "
                "out, or load 'mnist'"
            )
        return _load_digits()
    close = difflib.get_close_matches(str(name).lower(), NAMES, n=1)
    suggestion = f" Did you mean {close[0]!r}?" if close else ""
    known = ", ".join(repr(known) for known in NAMES)
    raise DatasetError(f"unknown data set {name!r}: expected one of {known}.{suggestion}")


def _load_digits() -> Dataset:
    """Load scikit-learn's digits: 64 features, 1,347 + 450 examples."""
    x, y = import_scikit_learn("datasets").load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = import_scikit_learn("model_selection").train_test_split(
        (x / 16).astype(np.float32), y.astype(np.int32), test_size=0.25, random_state=0, stratify=y
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
    cache = cache_path("mnist.npz")
    cache_state = "no such file"
    try:
        cached = read_cache(cache, mnist.FILES)
        if cached is not None:
            mnist.check(cached)
            return _mnist(f"cache {cache}", cached)
    except DatasetError as error:
        cache_state = str(error)
        warnings.warn(f"cache {cache} is not used, and is replaced: {error}", stacklevel=3)
    try:
        fetched = mnist.fetch()
    except DatasetError as error:
        raise DatasetError(
            "MNIST could not be loaded. Tried: "
            f"a folder (named by neither data_dir nor {DATA_VARIABLE}); "
            f"cache {cache} ({cache_state}); {OPENML} ({error}). "
            f"Name a folder of the four IDX files, with --data-dir FOLDER or {DATA_VARIABLE}=FOLDER, "
            "or connect to the network once, so that scikit-learn can fetch MNIST"
        ) from error
    try:
        write_cache(cache, fetched)
    except OSError as error:
        warnings.warn(f"cache {cache} could not be written: {error}", stacklevel=3)
    return _mnist(OPENML, fetched)


def _mnist(source: str, parts: dict[str, Bytes]) -> Dataset:
    """Return the data set of four uint8 arrays."""
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
    """Return pixels (n, ...) from 0 to 255 as (n, features) float32 in [0, 1]."""
    flat = pixels.reshape(len(pixels), -1)
    return cast(NDArray[np.float32], np.divide(flat, np.float32(255), dtype=np.float32))
