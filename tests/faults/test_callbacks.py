"""The error table: callbacks that cannot do their work, which is told before a run begins."""

from collections.abc import Callable
from typing import Any

import pytest

from multinn import Callback, CSVLogger, DescriptionError, SaveCheckpoint, TensorBoard
from tests.faults.rows import Fault, Says, check
from tests.faults.scene import CLASSES, Scene
from tests.support.small_runs import X, fit


def refit(scene: Scene, callback: Callback) -> None:
    """Fit the classifier again with a callback, and restore its settings."""
    try:
        scene.classifier.set_params(callbacks=callback).fit(X, CLASSES)
    finally:
        scene.classifier.set_params(callbacks=None)


FITS: dict[str, Callable[[Scene, Callback], Any]] = {
    "Trainer.fit": lambda scene, callback: fit(scene.trainer, 1, callbacks=[callback]),
    "MLPClassifier": refit,
}


def log_other_columns(scene: Scene, run: Callable[[Scene, Callback], Any]) -> None:
    path = scene.scratch / "log.csv"
    path.write_text("epoch,accuracy\n1,0.5\n")
    run(scene, CSVLogger(path))


def save_without_a_name(scene: Scene) -> None:
    metric = lambda backend, outputs, targets, weights: outputs[:, 0]  # noqa: E731
    scene.other = scene.new_trainer(metrics={"first": metric})
    fit(scene.other, 1, callbacks=[SaveCheckpoint(scene.checkpoint)])


def check_no_epoch(scene: Scene, _: BaseException) -> None:
    assert scene.other.epoch == 0


ROWS = [
    Fault(
        "SaveCheckpoint(None)",
        lambda s: SaveCheckpoint(None),  # type: ignore[arg-type]
        TypeError,
        Says("SaveCheckpoint: path", "a string or a pathlib.Path", "None"),
    ),
    Fault(
        "CSVLogger of a number",
        lambda s: CSVLogger(1),  # type: ignore[arg-type]
        TypeError,
        Says("CSVLogger: path", "a string or a pathlib.Path", "1"),
    ),
    Fault(
        "TensorBoard without a folder",
        lambda s: TensorBoard(""),
        ValueError,
        Says("TensorBoard: folder", "the path of a file or a folder", "''"),
    ),
    Fault(
        "SaveCheckpoint of a metric without a name",
        save_without_a_name,
        DescriptionError,
        Says("metric 'first'", "only registered names", "lambda", "multinn.register"),
        check_no_epoch,
    ),
]
for name, run in FITS.items():
    ROWS += [
        Fault(
            f"a folder that does not exist, {kind.__name__}, {name}",
            lambda s, kind=kind, run=run: run(s, kind(s.scratch / "missing" / "file")),
            FileNotFoundError,
            Says(f"{kind.__name__}: path", "a folder that exists", "missing", "create"),
        )
        for kind in (SaveCheckpoint, CSVLogger)
    ]
    ROWS += [
        Fault(
            f"a folder that is a file, TensorBoard, {name}",
            lambda s, run=run: run(s, TensorBoard(s.checkpoint / "events")),
            NotADirectoryError,
            Says("TensorBoard: folder", "the path of a folder", "run.safetensors is a file"),
        ),
        Fault(
            f"other columns, CSVLogger, {name}",
            lambda s, run=run: log_other_columns(s, run),
            ValueError,
            Says("CSVLogger", "['epoch', 'loss']", "['epoch', 'accuracy']", "choose another file"),
        ),
    ]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_callbacks(scene: Scene, row: Fault):
    check(row, scene)
