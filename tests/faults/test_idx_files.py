"""The error table of IDX files; it runs once, as no backend reads them."""

import errno
import gzip
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from experiments.datasets import DatasetError, load
from experiments.datasets.idx import idx_header
from tests.faults.rows import Fault, Says, Success, check
from tests.faults.scene import Scene
from tests.support.small_mnist import IDX_NAMES, make_mnist_small, write_idx_files

IMAGES, LABELS = IDX_NAMES["x_train"], IDX_NAMES["y_train"]
PROMISED = idx_header((2**20, 2**20, 2**20))  # 2⁶⁰ bytes

Change = Callable[[bytes], bytes]


def new_folder(scene: Scene) -> Path:
    """A folder of the four files of a small MNIST."""
    folder = scene.scratch / f"idx-{len(os.listdir(scene.scratch))}"
    with pytest.MonkeyPatch.context() as patch:
        write_idx_files(folder, make_mnist_small(patch))
    return folder


def changed(change: Change) -> Callable[[Scene], Any]:
    """Return an action: change the file of the training images and load the data."""

    def do(scene: Scene) -> Any:
        path = new_folder(scene) / IMAGES
        path.write_bytes(change(path.read_bytes()))
        return loaded(path.parent)

    return do


def swapped(one: str, other: str) -> Callable[[Scene], Any]:
    """Return an action: swap two files and load the data."""

    def do(scene: Scene) -> Any:
        folder = new_folder(scene)
        (folder / one).rename(folder / "one")
        (folder / other).rename(folder / one)
        (folder / "one").rename(folder / other)
        return loaded(folder)

    return do


def loaded(folder: Path) -> Any:
    """Load the data from a folder, and check that its files are unchanged."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    try:
        dataset = load("mnist", data_dir=folder)
    finally:
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    return dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test


def without_labels(scene: Scene) -> Any:
    folder = new_folder(scene)
    (folder / LABELS).unlink()
    return loaded(folder)


@contextmanager
def nothing_written() -> Iterator[None]:
    """Let everything that writes fail, as in a read-only folder."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    open_path = Path.open

    def open_to_read(path: Path, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        return refuse() if set(mode) & set("wax+") else open_path(path, mode, *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", open_to_read)
        for name in ("mkdir", "rename", "replace", "unlink", "utime"):
            patch.setattr(os, name, refuse)
        yield


def from_a_read_only_folder(scene: Scene) -> Any:
    folder = new_folder(scene)
    with nothing_written():
        return loaded(folder)


def from_a_folder_that_may_not_be_read(scene: Scene) -> Any:
    folder = new_folder(scene)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        return load("mnist", data_dir=folder)


def as_written(_: Scene) -> Any:
    """Return the expected data: flat images, pixels divided by 255."""
    with pytest.MonkeyPatch.context() as patch:
        parts = make_mnist_small(patch)
    x_train, x_test = (parts[name].reshape(-1, 784) / 255.0 for name in ("x_train", "x_test"))
    return x_train, parts["y_train"], x_test, parts["y_test"]


def says(expected: str, got: str, thing: str = IMAGES, remedy: str = "replace it with MNIST's") -> Says:
    return Says(thing, expected, got, remedy)


ROWS = [
    Success("compressed with gzip", changed(gzip.compress), as_written, tolerance=1e-6),
    Success("in a folder that is read-only", from_a_read_only_folder, as_written, tolerance=1e-6),
    *(
        Fault(name, changed(change), DatasetError, told)
        for name, change, told in (
            ("cut off", lambda data: data[:-7], says("expected 15,680 bytes", "got 15,673")),
            (
                "cut off in the header",
                lambda data: data[:9],
                says("of shape (20, 28, 28)", "00 00 08 03 00 00 00 14 00"),
            ),
            ("empty", lambda _: b"", says("expected an IDX file", "got an empty file")),
            (
                "something after the end",
                lambda data: data + b"\0",
                says("expected 15,680 bytes", "got more"),
            ),
            (
                "a bit flipped in an image",
                lambda data: data[:-1] + bytes([data[-1] ^ 1]),
                says("expected ", "the SHA-256 of its content is"),
            ),
            (
                "a picture",
                lambda data: b"\x89PNG" + data[4:],
                says("expected an IDX file", "89 50 4e 47"),
            ),
            (
                "floats",
                lambda data: b"\0\0\x0d\x03" + data[4:],
                says("expected an IDX file of unsigned bytes", "00 00 0d 03"),
            ),
            (
                "a header that promises 2^60 bytes",
                lambda _: PROMISED + bytes(99),
                says("of shape (20, 28, 28)", "of shape (1048576, 1048576, 1048576)"),
            ),
            (
                "compressed, and cut off",
                lambda data: gzip.compress(data)[:-20],
                says("gzip data", "damaged or cut short"),
            ),
            (
                "compressed, and a bit flipped",
                lambda data: gzip.compress(data)[:-8] + b"\0\0\0\0" + gzip.compress(data)[-4:],
                says("gzip data", "damaged or cut short"),
            ),
            (
                "compressed, and a bomb",
                lambda data: gzip.compress(data + bytes(2**24), compresslevel=1),
                says("expected 15,680 bytes", "got more"),
            ),
        )
    ),
    Fault(
        "images of training and test swapped",
        swapped(IMAGES, IDX_NAMES["x_test"]),
        DatasetError,
        says("of shape (20, 28, 28)", "of shape (10, 28, 28)"),
    ),
    Fault(
        "images and labels swapped",
        swapped(IMAGES, LABELS),
        DatasetError,
        says("of shape (20, 28, 28)", "of shape (20,)"),
    ),
    Fault(
        "a file is missing",
        without_labels,
        DatasetError,
        says("all four IDX files are needed", f"lacks {LABELS}", "the MNIST folder", ".gz"),
    ),
    Fault(
        "the folder is missing",
        lambda s: load("mnist", data_dir=s.scratch / "absent"),
        DatasetError,
        says("name an existing folder", "No such file", "absent", "--data-dir or MULTINN_DATA"),
    ),
    Fault(
        "a file that may not be read",
        from_a_folder_that_may_not_be_read,
        DatasetError,
        says("could not be read", "Permission denied"),
    ),
]


@pytest.mark.parametrize("backend", ["numpy"], indirect=True)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_idx_files(scene: Scene, row: Fault | Success, monkeypatch: pytest.MonkeyPatch):
    make_mnist_small(monkeypatch)
    check(row, scene)


def test_the_row_of_a_read_only_folder_refuses_to_write(tmp_path: Path):
    with nothing_written(), pytest.raises(OSError, match="Read-only"):
        (tmp_path / "file").write_bytes(b"")
