"""Loading the data sets: each source, its checks, and the errors."""

import gzip
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest

from experiments.datasets import Dataset, DatasetError, load, mnist
from tests.support.helpers import ROOT
from tests.support.small_mnist import IDX_NAMES, Parts, make_mnist_small, write_idx_files

REAL_MNIST = ROOT.parent / "shared" / "mnist"
PARTS = ("x_train", "y_train", "x_test", "y_test")
Fetch = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """Keep every test away from the user's cache and settings; return the path of the cached MNIST."""
    monkeypatch.setenv("MULTINN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MULTINN_DATA", raising=False)
    return tmp_path / "cache" / "mnist.npz"


@pytest.fixture
def small_mnist(monkeypatch) -> Parts:
    """MNIST of 20 + 10 random images: its four uint8 arrays."""
    return make_mnist_small(monkeypatch)


@pytest.fixture
def folder(tmp_path, small_mnist) -> Path:
    """A folder of the four IDX files."""
    path = tmp_path / "idx"
    write_idx_files(path, small_mnist)
    return path


@pytest.fixture
def set_fetch(monkeypatch) -> Callable[[Fetch], None]:
    """Return a function that replaces scikit-learn's fetch_openml."""
    pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")

    def put(fetch: Fetch) -> None:
        monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)

    return put


@pytest.fixture
def openml(set_fetch, small_mnist) -> dict[str, Any]:
    """Answer with the small MNIST as OpenML would; return the answer, which a test may change."""
    answer = {
        "data": np.concatenate([small_mnist["x_train"], small_mnist["x_test"]])
        .reshape(30, 784)
        .astype(np.float64),
        "target": np.concatenate([small_mnist["y_train"], small_mnist["y_test"]])
        .astype(str)
        .astype(object),
    }
    set_fetch(lambda *_args, **_kwargs: answer)
    return answer


@pytest.fixture
def cached(openml, cache, set_fetch) -> Path:
    """A cache filled by one fetch; a second fetch fails the test."""
    load("mnist")
    set_fetch(no_fetch)
    return cache


def no_fetch(*_args: object, **_kwargs: object) -> dict[str, Any]:
    pytest.fail("fetch_openml was called")


def offline(*_args: object, **_kwargs: object) -> dict[str, Any]:
    raise URLError("no route to host")


def assert_holds(dataset: Dataset, parts: Parts) -> None:
    """Check values, shapes and types of a data set against MNIST's uint8 arrays."""
    for part in ("x_train", "x_test"):
        expected = parts[part].reshape(len(parts[part]), 784).astype(np.float32) / np.float32(255)
        np.testing.assert_array_equal(getattr(dataset, part), expected, strict=True)
    for part in ("y_train", "y_test"):
        expected = parts[part].astype(np.int32)
        np.testing.assert_array_equal(getattr(dataset, part), expected, strict=True)
    assert dataset.name == "mnist"
    assert dataset.image_shape == (28, 28)


# Names


def test_an_unknown_name_is_an_error_that_lists_the_names():
    with pytest.raises(DatasetError, match="'cifar10': expected one of 'digits', 'mnist'"):
        load("cifar10")


@pytest.mark.parametrize(("name", "meant"), [("MNIST", "mnist"), ("digit", "digits")])
def test_a_misspelt_name_gets_a_suggestion(name, meant):
    with pytest.raises(DatasetError, match=f"Did you mean '{meant}'"):
        load(name)


# Digits


@pytest.fixture
def digits() -> Dataset:
    pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    return load("digits")


def test_digits_have_the_promised_shapes_and_types(digits):
    assert (digits.x_train.shape, digits.x_train.dtype) == ((1347, 64), np.float32)
    assert (digits.y_train.shape, digits.y_train.dtype) == ((1347,), np.int32)
    assert (digits.x_test.shape, digits.x_test.dtype) == ((450, 64), np.float32)
    assert (digits.y_test.shape, digits.y_test.dtype) == ((450,), np.int32)
    assert digits.image_shape == (8, 8)
    assert (digits.name, digits.source) == ("digits", "scikit-learn load_digits")


def test_digits_pixels_fill_the_unit_interval(digits):
    assert (digits.x_train.min(), digits.x_train.max()) == (0, 1)


def test_digits_are_split_the_same_each_time(digits):
    again = load("digits")
    for part in PARTS:
        np.testing.assert_array_equal(getattr(again, part), getattr(digits, part))


def test_digits_are_split_in_proportion_to_the_labels(digits):
    train, test = np.bincount(digits.y_train), np.bincount(digits.y_test)
    np.testing.assert_allclose(test / (train + test), 0.25, atol=0.005)


def test_digits_are_not_read_from_a_folder(tmp_path):
    with pytest.raises(DatasetError, match="not read from a folder"):
        load("digits", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_without_scikit_learn_the_error_has_the_pip_line(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DatasetError, match=r'pip install "multinn\[sklearn\]"'):
        load(name)


# A folder of IDX files


def test_a_named_folder_is_read(folder, small_mnist):
    dataset = load("mnist", data_dir=folder)
    assert_holds(dataset, small_mnist)
    assert dataset.source == f"folder {folder}"


def test_the_environment_names_a_folder(folder, small_mnist, monkeypatch):
    monkeypatch.setenv("MULTINN_DATA", str(folder))
    assert_holds(load("mnist"), small_mnist)


def test_the_argument_is_used_before_the_environment(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MULTINN_DATA", str(tmp_path / "absent"))
    assert load("mnist", data_dir=folder).source == f"folder {folder}"


def test_a_tilde_is_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert load("mnist", data_dir=Path("~") / folder.name).source == f"folder {folder}"


@pytest.mark.parametrize("separator", ["-", "."])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_each_spelling_of_the_file_names_is_read(folder, small_mnist, separator, suffix):
    for stem in IDX_NAMES.values():
        content = (folder / stem).read_bytes()
        (folder / stem).unlink()
        name = stem.replace("-idx", f"{separator}idx") + suffix
        (folder / name).write_bytes(gzip.compress(content) if suffix else content)
    assert_holds(load("mnist", data_dir=folder), small_mnist)


def test_a_file_in_place_of_a_folder_is_an_error(folder):
    with pytest.raises(DatasetError, match="cannot be read"):
        load("mnist", data_dir=folder / IDX_NAMES["x_train"])


def test_an_environment_folder_that_is_missing_is_an_error(cached, tmp_path, monkeypatch):
    monkeypatch.setenv("MULTINN_DATA", str(tmp_path / "absent"))
    with pytest.raises(DatasetError, match=r"absent.* cannot be read"):
        load("mnist")


@pytest.mark.skipif(
    not REAL_MNIST.is_dir(), reason="the real MNIST is not in ../shared/mnist of the repository"
)
def test_the_real_mnist_is_accepted():
    dataset = load("mnist", data_dir=REAL_MNIST)
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((60000, 784), (10000, 784))
    assert (dataset.x_train.min(), dataset.x_train.max()) == (0, 1)
    assert tuple(np.bincount(dataset.y_train)) == mnist.TRAIN_COUNTS
    assert tuple(np.bincount(dataset.y_test)) == mnist.TEST_COUNTS


# OpenML


def test_mnist_is_fetched_where_no_folder_is_named(openml, small_mnist):
    dataset = load("mnist")
    assert_holds(dataset, small_mnist)
    assert dataset.source == "OpenML mnist_784 version 1"


def test_integer_answers_are_read_too(openml, small_mnist):
    openml["data"] = openml["data"].astype(np.int64)
    openml["target"] = openml["target"].astype(np.int64)
    assert_holds(load("mnist"), small_mnist)


def test_what_is_asked_of_openml(openml, set_fetch):
    asked = []

    def fetch(*args: Any, **kwargs: Any) -> dict[str, Any]:
        asked.append((args, kwargs["version"], kwargs["as_frame"]))
        return openml

    set_fetch(fetch)
    load("mnist")
    assert asked == [(("mnist_784",), 1, False)]


def test_without_pandas_the_parser_liac_arff_is_used(openml, set_fetch, monkeypatch):
    parsers = []

    def fetch(*_args: Any, **kwargs: Any) -> dict[str, Any]:
        parsers.append(kwargs["parser"])
        return openml

    set_fetch(fetch)
    monkeypatch.setitem(sys.modules, "pandas", None)
    load("mnist")
    assert parsers == ["liac-arff"]


@pytest.mark.parametrize(
    "expected",
    [
        "neither data_dir nor MULTINN_DATA",
        "cache {cache}",
        "OpenML mnist_784 version 1",
        "no route to host",
        "--data-dir FOLDER",
        "MULTINN_DATA=FOLDER",
        "connect to the network once",
    ],
)
def test_offline_the_error_says_where_it_looked_and_what_to_do(small_mnist, cache, set_fetch, expected):
    set_fetch(offline)
    with pytest.raises(DatasetError) as caught:
        load("mnist")
    assert expected.format(cache=cache) in str(caught.value)


def test_offline_nothing_is_cached(small_mnist, cache, set_fetch):
    set_fetch(offline)
    with pytest.raises(DatasetError):
        load("mnist")
    assert not cache.exists()


def drop_an_image(answer: dict[str, Any]) -> None:
    answer["data"] = answer["data"][:-1]


def drop_a_label(answer: dict[str, Any]) -> None:
    answer["target"] = answer["target"][:-1]


def put_pixel(value: float) -> Callable[[dict[str, Any]], None]:
    def change(answer: dict[str, Any]) -> None:
        answer["data"][3, 5] = value

    return change


def put_label(value: str) -> Callable[[dict[str, Any]], None]:
    def change(answer: dict[str, Any]) -> None:
        answer["target"][0] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(drop_an_image, r"pixels have the shape \(29, 784\)", id="images"),
        pytest.param(drop_a_label, r"labels have the shape \(29,\)", id="labels"),
        pytest.param(put_pixel(256), "pixels range from .* expected 0 to 255", id="bright"),
        pytest.param(put_pixel(-1), "pixels range from .* expected 0 to 255", id="negative"),
        pytest.param(put_pixel(np.nan), "pixels range from nan", id="nan"),
        pytest.param(put_pixel(0.5), "pixels are not all whole numbers", id="fraction"),
        pytest.param(put_label("10"), "labels range from .* expected 0 to 9", id="label-range"),
        pytest.param(put_label("shoe"), "labels are not numbers", id="label-word"),
        pytest.param(put_label("1"), "y_train: expected the labels 0 to 9 to occur", id="label-counts"),
    ],
)
def test_a_wrong_answer_is_an_error_and_is_not_cached(openml, cache, change, message):
    change(openml)
    with pytest.raises(DatasetError, match=message):
        load("mnist")
    assert not cache.exists()


# The cache


def test_a_second_load_reads_the_cache_and_does_not_fetch(cached, small_mnist):
    dataset = load("mnist")
    assert_holds(dataset, small_mnist)
    assert dataset.source == f"cache {cached}"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MULTINN_CACHE": "{root}/a", "XDG_CACHE_HOME": "{root}/b"}, "a/mnist.npz"),
        ({"MULTINN_CACHE": "", "XDG_CACHE_HOME": "{root}/b"}, "b/multinn/mnist.npz"),
        ({"MULTINN_CACHE": "", "XDG_CACHE_HOME": ""}, ".cache/multinn/mnist.npz"),
        ({"MULTINN_CACHE": "", "XDG_CACHE_HOME": "relative"}, ".cache/multinn/mnist.npz"),
    ],
    ids=["multinn", "xdg", "home", "relative-xdg"],
)
def test_where_the_cache_is(openml, tmp_path, monkeypatch, variables, expected):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(root=tmp_path))
    load("mnist")
    assert load("mnist").source == f"cache {tmp_path / expected}"


def truncate(cache: Path) -> None:
    cache.write_bytes(cache.read_bytes()[:-1])


def flip_a_bit(cache: Path, *, of_pixels: bool) -> None:
    content = bytearray(cache.read_bytes())
    length_of_header = content.index(b"\x93NUMPY") + 8  # with another one, all pixels are shifted
    content[length_of_header + (1000 if of_pixels else 0)] ^= 1
    cache.write_bytes(content)


def empty(cache: Path) -> None:
    cache.write_bytes(b"")


def put_text_in_its_place(cache: Path) -> None:
    cache.write_text("no archive")


def store(cache: Path, **changes: Any) -> None:
    """Write a whole cache again, with other arrays."""
    with np.load(cache) as file:
        arrays = {**file, **changes}
    np.savez(cache, **{name: array for name, array in arrays.items() if array is not None})


DAMAGES = [
    truncate,
    pytest.param(partial(flip_a_bit, of_pixels=True), id="a bit of a pixel"),
    pytest.param(partial(flip_a_bit, of_pixels=False), id="a bit of a header"),
    empty,
    put_text_in_its_place,
    pytest.param(partial(store, y_test=None), id="an array is missing"),
    pytest.param(partial(store, x_train=np.zeros((20, 28), np.uint8)), id="another shape"),
    pytest.param(partial(store, y_train=np.repeat(np.arange(10), 2)), id="another type"),
    pytest.param(partial(store, y_train=np.zeros(20, np.uint8)), id="other labels"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_replaced_with_a_warning(openml, cache, set_fetch, small_mnist, damage):
    load("mnist")
    damage(cache)
    with pytest.warns(UserWarning, match=r"cache .* is not used") as caught:
        dataset = load("mnist")
    assert dataset.source == "OpenML mnist_784 version 1"
    assert_holds(dataset, small_mnist)
    assert "\n" not in str(caught[0].message)
    assert caught[0].filename == __file__
    set_fetch(no_fetch)
    assert_holds(load("mnist"), small_mnist)


def test_offline_a_damaged_cache_is_an_error_that_says_so(cached, set_fetch):
    truncate(cached)
    set_fetch(offline)
    with pytest.warns(UserWarning, match="is not used"), pytest.raises(DatasetError, match="damaged"):
        load("mnist")


def test_a_folder_is_not_written_to_the_cache(folder, cache):
    load("mnist", data_dir=folder)
    assert not cache.exists()


def test_a_cache_that_cannot_be_made_is_a_warning(openml, small_mnist, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match=r"cache .* could not be written"):
        assert_holds(load("mnist"), small_mnist)


def test_a_disk_that_is_full_is_a_warning_and_leaves_nothing(openml, cache, monkeypatch, small_mnist):
    def fsync(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.warns(UserWarning, match=r"cache .* could not be written: .*No space left on device"):
        assert_holds(load("mnist"), small_mnist)
    assert list(cache.parent.iterdir()) == []


def test_a_write_that_is_cut_off_leaves_no_cache(openml, cache, monkeypatch):
    def replace(_source: Path, _target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", replace)
    with pytest.raises(KeyboardInterrupt):
        load("mnist")
    assert not cache.exists()
