"""Files that are written completely or not at all."""

import os
import stat

import pytest

from multinn.host import atomic
from multinn.host.atomic import replacing


class FullError(OSError):
    """A disk without space."""


def write(path, data):
    with replacing(path) as file:
        file.write(data)


def test_a_file_is_written(tmp_path):
    write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_is_replaced(tmp_path):
    write(tmp_path / "file", b"old, and longer")
    write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_path_may_be_a_string_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("file", b"new")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize("error", [FullError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [b"old", None], ids=["old file", "no file"])
def test_after_any_error_the_old_file_is_unchanged(tmp_path, monkeypatch, step, error, old):
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)

    def fail(*arguments):
        raise error

    def write_and_fail():
        with replacing(path) as file:
            file.write(b"new")
            fail()

    if step != "write":
        monkeypatch.setattr(atomic.os, step, fail)
    with pytest.raises(error):
        write_and_fail() if step == "write" else write(path, b"new")
    assert os.listdir(tmp_path) == (["file"] if old else [])
    assert not old or path.read_bytes() == old


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_disk_that_is_full_when_the_file_is_closed_leaves_the_old_file(tmp_path, monkeypatch):
    """The rest of the buffer cannot be written either."""
    (tmp_path / "file").write_bytes(b"old")
    open_file = atomic.Path.open

    def on_full_disk(path, mode):
        open_file(path, mode).close()
        return open_file(atomic.Path("/dev/full"), "rb+")

    monkeypatch.setattr(atomic.Path, "open", on_full_disk)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == ["file"]
    monkeypatch.undo()
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has these modes")
def test_a_new_file_has_the_mode_of_the_umask(tmp_path):
    write(tmp_path / "file", b"new")
    (tmp_path / "other").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "other")}
    assert len(modes) == 1


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has these modes")
def test_a_private_file_stays_private(tmp_path):
    (tmp_path / "file").touch(0o600)
    write(tmp_path / "file", b"new")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only POSIX has FIFOs")
@pytest.mark.parametrize("name", ["fifo", "link"])
def test_a_fifo_is_not_replaced(tmp_path, name):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "fifo")
    with pytest.raises(OSError, match=f"path: expected a regular file or none, got .*{name}, a FIFO"):
        write(tmp_path / name, b"new")
    assert sorted(os.listdir(tmp_path)) == ["fifo", "link"]
    assert stat.S_ISFIFO((tmp_path / name).stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere symbolic links may need a permission")
def test_the_target_of_a_symbolic_link_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == b"new"
