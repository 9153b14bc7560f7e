"""A classifier of handwritten digits: training, test accuracy, confusion matrix, pictures.

The network is 784-128-10 on MNIST and 64-128-10 on scikit-learn's digits: a hidden layer of 128 ReLU
units, and softmax. The number of epochs is fixed: the test images are evaluated after each epoch for
the learning curve only.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from typing import Final

import numpy as np

from backends import HostArray
from experiments.datasets import Dataset, load
from experiments.digits.curves_picture import draw_learning_curves
from experiments.digits.options import OPTIMIZERS, digits_parser, with_defaults
from experiments.digits.pictures import draw_confusion_matrix, draw_samples
from experiments.shared.command_line import run_script
from experiments.shared.interrupted import raise_if_interrupted
from experiments.shared.records import make_record, write_json
from experiments.shared.tables import format_table
from multinn import Dense, History, ReLU, Sequential, SoftmaxCrossEntropy, Trainer, accuracy, functional
from multinn.initializers import He
from multinn.schedules import Constant, CosineDecay, Schedule

HIDDEN_UNITS: Final = 128
CLASSES: Final = 10

TITLES: Final = {"digits": "scikit-learn's digits", "mnist": "MNIST"}
_TABLE_EPOCHS: Final = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    return run_script(run, digits_parser(), arguments)


def run(options: argparse.Namespace) -> int:
    """Train, evaluate on the test images, and report."""
    options = with_defaults(options)
    dataset = load(options.dataset, data_dir=options.data_dir)
    trainer = make_trainer(options, len(dataset.x_train))
    _print_task(options, dataset, trainer)
    history = train(trainer, dataset, options)
    probabilities = predict_probabilities(trainer, dataset.x_test)
    confusion = confusion_matrix(dataset.y_test, np.argmax(probabilities, axis=1))
    results = {
        "test_accuracy": float(np.trace(confusion) / confusion.sum()),
        "test_loss": history[-1]["validation_loss"],
        "confusion_matrix": confusion.tolist(),
        "train_images": len(dataset.x_train),
        "test_images": len(dataset.x_test),
        "source": dataset.source,
    }
    _print_results(trainer, history, confusion)
    if options.out:
        draw(trainer, dataset, probabilities, options)
    if options.json:
        write_json(options.json, make_record("digits", options, trainer, history, results))
    return 0


def make_model() -> Sequential:
    """Return the classifier."""
    weights = He()
    return Sequential(
        [
            Dense(HIDDEN_UNITS, weight_initializer=weights),
            ReLU(),
            Dense(CLASSES, weight_initializer=weights),
        ]
    )


def make_trainer(options: argparse.Namespace, examples: int) -> Trainer:
    """Return a trainer of the classifier for that many training images."""
    optimizer = OPTIMIZERS[options.optimizer](
        learning_rate=_schedule(options, examples), weight_decay=options.weight_decay
    )
    return Trainer(
        make_model(),
        SoftmaxCrossEntropy(options.label_smoothing),
        optimizer,
        metrics={"accuracy": accuracy},
        backend=options.backend,
        dtype=options.dtype,
        seed=options.seed,
    )


def train(trainer: Trainer, dataset: Dataset, options: argparse.Namespace) -> History:
    """Train for the epochs of the options, and return the history, with metrics of the test images.

    Raises:
        KeyboardInterrupt: the training was interrupted.
    """
    return raise_if_interrupted(
        trainer.fit(
            dataset.x_train,
            dataset.y_train,
            epochs=options.epochs,
            batch_size=options.batch_size,
            validation_data=(dataset.x_test, dataset.y_test),
        )
    )


def draw(
    trainer: Trainer, dataset: Dataset, probabilities: HostArray, options: argparse.Namespace
) -> None:
    """Draw learning curves, confusion matrix and samples into the folder of the options.

    Args:
        trainer: after the training.
        dataset: on which it was trained.
        probabilities: (examples, classes), from `predict_probabilities` of the test images.
        options: completed by `with_defaults`.
    """
    title = f"{network_name(dataset)} on {TITLES[dataset.name]}, {trainer.backend.name} backend"
    loss = f"Loss: cross-entropy, label smoothing {options.label_smoothing:g}"
    confusion = confusion_matrix(dataset.y_test, np.argmax(probabilities, axis=1))
    trainers = {trainer.backend.name: trainer}
    draw_learning_curves(trainers, title, options.out, dataset.name, loss=loss)
    draw_confusion_matrix(confusion, title, options.out, dataset.name)
    draw_samples(dataset, probabilities, title, options.out, dataset.name)


def network_name(dataset: Dataset) -> str:
    """Return the widths of the network for this data set, such as "64-128-10"."""
    return f"{dataset.x_train.shape[1]}-{HIDDEN_UNITS}-{CLASSES}"


def predict_probabilities(trainer: Trainer, x: HostArray) -> HostArray:
    """Return the probability of each class for each image, an array (examples, classes)."""
    backend = trainer.backend
    logits = trainer.predict(x)
    with backend.precision(trainer.dtype):
        probabilities = functional.softmax(backend, backend.from_numpy(logits))
        return np.asarray(backend.to_numpy(probabilities))


def confusion_matrix(labels: HostArray, predicted: HostArray) -> HostArray:
    """Return the count of each pair of labels, (classes, classes): true in rows, predicted in columns.

    >>> confusion_matrix(np.array([0, 2, 2]), np.array([0, 2, 1]))[:3, :3].tolist()
    [[1, 0, 0], [0, 0, 0], [0, 1, 1]]
    """
    pairs = np.bincount(labels * CLASSES + predicted, minlength=CLASSES * CLASSES)
    return pairs.reshape(CLASSES, CLASSES)


def _schedule(options: argparse.Namespace, examples: int) -> Schedule:
    if options.schedule == "constant":
        return Constant(options.learning_rate)
    return CosineDecay(options.learning_rate, options.epochs * math.ceil(examples / options.batch_size))


def _print_task(options: argparse.Namespace, dataset: Dataset, trainer: Trainer) -> None:
    height, width = dataset.image_shape
    print(f"data       {dataset.source}")
    print(
        f"images     {len(dataset.x_train):,} to train, {len(dataset.x_test):,} to test, "
        f"{height} x {width}"
    )
    print(f"network    {network_name(dataset)}, ReLU and softmax, seed {options.seed}")
    print(f"backend    {trainer.backend.name} on {trainer.backend.device}, {trainer.dtype}")
    print(
        f"optimizer  {options.optimizer}, learning rate {options.learning_rate:g} ({options.schedule}), "
        f"weight decay {options.weight_decay:g}"
    )
    print(
        f"training   epochs {options.epochs}, batch size {options.batch_size}, "
        f"label smoothing {options.label_smoothing:g}",
        flush=True,
    )


def _print_results(trainer: Trainer, history: History, confusion: HostArray) -> None:
    print(f"\n{_epochs_table(history)}")
    print("\nConfusion matrix of the test images: true labels in rows, predicted in columns\n")
    print(_confusion_table(confusion))
    total, right = int(confusion.sum()), int(np.trace(confusion))
    print(f"\ntest accuracy  {right / total:.2%}: {right:,} of {total:,} right, {total - right:,} wrong")
    seconds = trainer.seconds
    print(f"seconds        {seconds.compile:.2f} to compile, {seconds.train:.2f} to train")


def _epochs_table(history: History) -> str:
    """Return a table of about ten epochs, including the last one."""
    every = math.ceil(len(history) / _TABLE_EPOCHS)
    shown = history[::-1][::every][::-1]
    columns = ["epoch", "training loss", "training accuracy", "test loss", "test accuracy"]
    rows = [
        [
            f"{record['epoch']}",
            f"{record['loss']:.4f}",
            f"{record['accuracy']:.2%}",
            f"{record['validation_loss']:.4f}",
            f"{record['validation_accuracy']:.2%}",
        ]
        for record in shown
    ]
    return format_table(columns, rows)


def _confusion_table(confusion: HostArray) -> str:
    columns = ["true", *(str(label) for label in range(CLASSES)), "right"]
    rows = [
        [str(label), *(str(count) if count else "." for count in row), _share(row[label], row.sum())]
        for label, row in enumerate(confusion)
    ]
    return format_table(columns, rows)


def _share(part: int, total: int) -> str:
    return f"{part / total:.1%}" if total else "none"


if __name__ == "__main__":
    sys.exit(main())
