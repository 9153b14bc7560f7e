"""The error table: checkpoints, on the disk and from other processes."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import tree
from multinn import (
    DamagedCheckpointError,
    Dense,
    ForeignFileError,
    InvalidCheckpointError,
    SaveCheckpoint,
    Trainer,
)
from multinn.host import atomic
from tests.faults.rows import Fault, Says, Success, check
from tests.faults.scene import Scene
from tests.support.helpers import run_python
from tests.support.small_runs import fit, host, make_trainer


def load(change: Callable[[bytes], bytes]) -> Callable[[Scene], None]:
    """Return an action that loads the state of the scene's checkpoint after a change of its bytes."""

    def do(scene: Scene) -> None:
        path = scene.scratch / "changed.safetensors"
        path.write_bytes(change(scene.checkpoint.read_bytes()))
        scene.trainer.load_state(path)

    return do


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


def load_another_model(scene: Scene) -> None:
    path = scene.scratch / "other.safetensors"
    other = make_trainer(scene.backend, Dense(3))
    other.initialize((3,))
    other.save(path)
    scene.trainer.load_state(path)


@contextmanager
def full_disk() -> Iterator[None]:
    """Let each write to the disk fail."""

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.os, "fsync", fail)
        yield


@contextmanager
def unwritable(number: int) -> Iterator[None]:
    """Let each opening of a file for writing fail, also for the root user."""
    original = Path.open

    def open_to_read(path: Path, mode: str = "r", **options: Any) -> Any:
        if mode.startswith("r"):
            return original(path, mode, **options)
        raise OSError(number, os.strerror(number))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", open_to_read)
        yield


@contextmanager
def limited_file_size() -> Iterator[None]:
    """Let the system limit files to 400 bytes."""
    resource = pytest.importorskip("resource", reason="only POSIX has this limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def save(context: Callable[[], Any]) -> Callable[[Scene], None]:
    """Return an action that overwrites the scene's checkpoint within a context, such as a full disk."""

    def do(scene: Scene) -> None:
        trainer = make_trainer(scene.backend, seed=1)
        trainer.initialize((3,))
        with context():
            trainer.save(scene.checkpoint)

    return do


def train_on_a_full_disk(scene: Scene) -> None:
    scene.other = scene.new_trainer()
    path = scene.scratch / "best.safetensors"
    fit(scene.other, 1, callbacks=[SaveCheckpoint(path)])
    with full_disk():
        fit(scene.other, 9, callbacks=[SaveCheckpoint(path)])


def is_at_the_epoch_that_was_not_saved(scene: Scene, _: BaseException) -> None:
    assert (scene.other.epoch, len(scene.other.history)) == (2, 2)
    saved = Trainer.load(scene.scratch / "best.safetensors", scene.backend)
    tree.map(np.testing.assert_array_equal, host(saved), host(scene.trainer))


def written_by_two(scene: Scene) -> Any:
    """Let two trainers save to one file; return the numbers of unknown seeds read and of files left."""
    folder = scene.scratch / "two"
    folder.mkdir()
    path = folder / "run.safetensors"
    trainers = [make_trainer(scene.backend, Dense(50), seed=seed) for seed in (1, 2)]
    for trainer in trainers:
        trainer.initialize((50,))
        trainer.save(path)
    writers = [threading.Thread(target=lambda t=t: [t.save(path) for _ in range(5)]) for t in trainers]
    for writer in writers:
        writer.start()
    seen = []
    while any(writer.is_alive() for writer in writers) or not seen:
        loaded = Trainer.load(path, scene.backend)
        np.testing.assert_array_equal(host(loaded)[0]["W"], host(trainers[loaded.seed - 1])[0]["W"])
        seen.append(loaded.seed)
    return len(set(seen) - {1, 2}), len(os.listdir(folder))


CHANGED = Says(
    "changed.safetensors:", "as it was saved", "truncated, or some of its bits", "earlier checkpoint"
)
FOREIGN = Says(
    "changed.safetensors:", "a checkpoint of this library", "89 50 4e 47", "that Trainer.save wrote"
)
FULL = Says(
    "run.safetensors", "an existing file is unchanged", "No space left on device", "could not be written"
)

ROWS = [
    Fault("truncated", load(lambda data: data[:-100]), DamagedCheckpointError, CHANGED),
    Fault("truncated in the header", load(lambda data: data[:100]), DamagedCheckpointError, CHANGED),
    Fault(
        "a bit flipped in an array", load(lambda data: flip(data, -3)), DamagedCheckpointError, CHANGED
    ),
    Fault(
        "a bit flipped in the header",
        load(lambda data: flip(data, 300)),
        DamagedCheckpointError,
        CHANGED,
    ),
    Fault("a byte after the end", load(lambda data: data + b"\0"), DamagedCheckpointError, CHANGED),
    Fault("empty", load(lambda _: b""), DamagedCheckpointError, CHANGED._replace(got="empty")),
    Fault("an image", load(lambda _: b"\x89PNG\r\n\x1a\n" + bytes(99)), ForeignFileError, FOREIGN),
    Fault(
        "an IDX file",
        load(lambda _: b"\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01\x07"),
        ForeignFileError,
        FOREIGN._replace(got="00 00 08 03"),
    ),
    Fault(
        "a checkpoint of another model",
        load_another_model,
        InvalidCheckpointError,
        Says("other.safetensors:", "expected the model Sequential(", "got Dense(", "Trainer.load"),
    ),
    Fault(
        "missing",
        lambda s: s.trainer.load_state(s.folder / "absent"),
        FileNotFoundError,
        Says("absent", "file", "No such file"),
    ),
    Fault(
        "a folder in place of the file",
        lambda s: s.trainer.load_state(s.folder),
        IsADirectoryError,
        Says("kept", "Is a directory", "directory"),
    ),
    Fault(
        "saved into a folder that is missing",
        lambda s: s.trainer.save(s.folder / "absent" / "run.safetensors"),
        FileNotFoundError,
        Says("path:", "a folder that exists", "absent/run.safetensors", "create"),
    ),
    Fault(
        "saved over a folder",
        lambda s: s.trainer.save(s.folder),
        IsADirectoryError,
        Says("path:", "the path of a file", "got the folder", "kept"),
    ),
    Fault(
        "saved into a folder that is read-only",
        save(lambda: unwritable(errno.EROFS)),
        OSError,
        FULL._replace(got="Read-only file system"),
    ),
    Fault(
        "saved into a folder without permission",
        save(lambda: unwritable(errno.EACCES)),
        PermissionError,
        FULL._replace(got="Permission denied"),
    ),
    Fault("a full disk", save(full_disk), OSError, FULL),
    Fault("a limited file size", save(limited_file_size), OSError, FULL._replace(got="File too large")),
    Fault(
        "a full disk while training",
        train_on_a_full_disk,
        OSError,
        FULL._replace(thing="best.safetensors"),
        is_at_the_epoch_that_was_not_saved,
    ),
    Success("two runs that save one checkpoint", written_by_two, lambda s: (0, 1), tolerance=0.0),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_checkpoints(scene: Scene, row: Fault | Success):
    check(row, scene)


KILLED = """
import os, shutil, signal
from multinn import SaveCheckpoint, Trainer, Callback
from multinn.host import atomic
from tests.support.small_runs import assert_same_bits, fit, make_trainer

def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

class Kill(Callback):
    def on_report(self, trainer, record):
        if trainer.epoch == 3:
            kill()

def save_until(place, name):
    setattr(place, name, kill)
    fit(Trainer.load("run"), 1).save("run")

fit(make_trainer(), 1).save("run")
for moment in (
    lambda: save_until(shutil, "copymode"),
    lambda: save_until(os, "fsync"),
    lambda: save_until(os, "replace"),
    lambda: save_until(atomic, "_sync_folder"),
    lambda: fit(Trainer.load("run"), 9, callbacks=[Kill(), SaveCheckpoint("run")]),
):
    child = os.fork()
    if not child:
        moment()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    print(Trainer.load("run").epoch)
assert_same_bits(fit(Trainer.load("run"), 2), fit(make_trainer(), 4))
"""


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has this signal")
def test_checkpoints_of_processes_that_are_killed(tmp_path: Path):
    """With kill -9 at each step of saving, and in the middle of a run; only on NumPy."""
    result = run_python(f"import os\nos.chdir({str(tmp_path)!r})\n{KILLED}")
    assert (result.stdout.split(), result.stderr) == (["1", "1", "1", "2", "2"], "")
    left_over = [name for name in os.listdir(tmp_path) if name != "run"]
    assert len(left_over) == 3
    assert all(name.startswith(".unfinished-") for name in left_over)
