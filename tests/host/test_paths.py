"""Paths: what is one, and where a file can be written."""

import os
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from multinn.host.paths import check_path, check_target


class Named:
    def __init__(self, path: object) -> None:
        self.path = path

    def __fspath__(self) -> object:
        return self.path


@pytest.mark.parametrize("path", ["a", "a/b", Path("a"), PurePosixPath("a"), Named("a"), "\udcff"])
def test_strings_and_objects_with_a_string_are_paths(path):
    check_path(path)


@pytest.mark.parametrize("path", [None, 3, True, np.int64(3), 3.5, ["a"], b"a", Named(b"a"), Path])
def test_what_is_no_path_is_refused_by_its_name(path):
    with pytest.raises(TypeError, match=r"^folder: expected a string or a pathlib.Path, got "):
        check_path(path, "folder")


def test_bytes_are_told_how_to_become_a_string():
    with pytest.raises(TypeError, match=r"got b'a'; write os.fsdecode\(...\)"):
        check_path(b"a")


@pytest.mark.parametrize("path", ["", "a\0b", Named("")])
def test_what_no_file_can_be_called_is_refused(path):
    with pytest.raises(ValueError, match=r"^path: expected the path of a file or a folder, got '"):
        check_path(path)


def test_an_integer_does_not_close_an_open_file():
    read, write = os.pipe()
    with pytest.raises(TypeError, match="got "):
        check_path(read)
    os.write(write, b"open")
    assert os.read(read, 4) == b"open"
    os.close(read)
    os.close(write)


def test_a_folder_is_no_target(tmp_path):
    for path in (tmp_path, str(tmp_path), f"{tmp_path}/", "."):
        with pytest.raises(IsADirectoryError, match="path: expected the path of a file, got the folder"):
            check_target(path)


def test_the_folder_of_a_target_must_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"a folder that exists, .*; create {tmp_path}/a first"):
        check_target(tmp_path / "a" / "file")
    (tmp_path / "a").touch()
    with pytest.raises(FileNotFoundError, match="a folder that exists"):
        check_target(tmp_path / "a" / "file")


def test_a_new_file_and_an_old_one_are_targets_and_stay_as_they_are(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    check_target(tmp_path / "old")
    check_target(tmp_path / "new")
    assert (tmp_path / "old").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["old"]


@pytest.mark.skipif(os.name != "posix", reason="elsewhere symbolic links may need a permission")
def test_a_link_is_a_target_if_its_own_target_is_one(tmp_path):
    (tmp_path / "good").symlink_to(tmp_path / "file")
    (tmp_path / "bad").symlink_to(tmp_path / "absent" / "file")
    check_target(tmp_path / "good")
    with pytest.raises(FileNotFoundError, match=r"create .*absent first"):
        check_target(tmp_path / "bad")
