"""A convolutional network for handwritten digits, similar to LeNet, on one or more backends.

Two convolutions, each followed by ReLU and max pooling, then two fully connected layers: see
`make_model`. The same seed gives the same learning curve on each backend. The test images are evaluated
after each epoch for the learning curve only.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from backends import Backend, HostArray
from experiments.datasets import Dataset, load
from experiments.digits.__main__ import TITLES, predict_probabilities
from experiments.digits.curves import curve_results, format_curves, format_ends, sum_seconds, train_on
from experiments.digits.curves_picture import draw_learning_curves
from experiments.digits.options import DTYPE_NOTE
from experiments.digits.pictures import draw_samples
from experiments.shared.command_line import (
    add_backends,
    add_dataset,
    add_dtype,
    defaults_text,
    from_zero_below,
    load_backends,
    make_parser,
    positive,
    run_script,
)
from experiments.shared.interrupted import raise_if_interrupted
from experiments.shared.records import make_comparison_record, write_json
from multinn import (
    AdamW,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    MaxPool2D,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    Trainer,
    accuracy,
)
from multinn.initializers import He
from multinn.schedules import CosineDecay

#: The filters of both convolutions, their kernel size and their padding, by data set.
ARCHITECTURES: Final[dict[str, tuple[tuple[int, int], int, Any]]] = {
    "digits": ((16, 32), 3, "same"),
    "mnist": ((8, 16), 5, "valid"),
}
HIDDEN_UNITS: Final = 64
CLASSES: Final = 10

#: Defaults that depend on the data set.
DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "digits": {"epochs": 20, "batch_size": 32},
    "mnist": {"epochs": 5, "batch_size": 50},
}
# Tuned on 10,000 held-out training images of MNIST.
_LEARNING_RATE: Final = 0.006
_WEIGHT_DECAY: Final = 0.1
_LABEL_SMOOTHING: Final = 0.05

_COLUMNS: Final = {
    "loss": "training\nloss",
    "accuracy": "training\naccuracy",
    "validation_loss": "test\nloss",
    "validation_accuracy": "test\naccuracy",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser(
        "convnet",
        "Train a convolutional network on handwritten digits, the 8 x 8 images that are bundled with "
        "scikit-learn or MNIST, on each backend from the same seed, and compare the learning curves.",
    )
    add_backends(parser)
    add_dataset(parser)
    add_dtype(parser, "float64", DTYPE_NOTE)
    for name, meaning in (
        ("epochs", "passes over the training images"),
        ("batch_size", "images in a step"),
    ):
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=positive,
            default=argparse.SUPPRESS,
            metavar="N",
            help=f"{meaning} {defaults_text(name, DEFAULTS)}",
        )
    parser.add_argument(
        "--learning-rate",
        type=from_zero_below(math.inf),
        default=_LEARNING_RATE,
        metavar="X",
        help="learning rate of the first step; it falls to zero along a cosine",
    )
    return run_script(run, parser, arguments)


def run(options: argparse.Namespace) -> int:
    """Train on each backend, evaluate on the test images, compare, and report."""
    options = argparse.Namespace(**DEFAULTS[options.dataset] | vars(options))
    backends = load_backends(options)
    dataset = load(options.dataset, data_dir=options.data_dir)
    _print_task(options, dataset)
    trainers = train_on(backends, lambda backend: train(options, dataset, backend), "the network")
    probabilities = {
        name: predict_probabilities(trainer, as_images(dataset, dataset.x_test))
        for name, trainer in trainers.items()
    }
    right = {
        name: int((np.argmax(each, axis=1) == dataset.y_test).sum())
        for name, each in probabilities.items()
    }
    print(f"\n{format_curves(trainers, _COLUMNS)}\n")
    total = len(dataset.y_test)
    for name, count in right.items():
        wrong = f"{count:,} of {total:,} right, {total - count:,} wrong"
        print(f"test accuracy on {name}: {count / total:.2%}, {wrong}")
    print(f"\n{format_ends(trainers)}")
    first, *_ = trainers
    if options.out:
        name = f"convnet_{dataset.name}"
        title = f"convolutional network on {TITLES[dataset.name]}"
        draw_learning_curves(trainers, title, options.out, name)
        draw_samples(dataset, probabilities[first], f"{title}, {first}", options.out, name)
    if options.json:
        results = curve_results(trainers) | {
            "test_accuracy": {name: count / total for name, count in right.items()},
            "train_images": len(dataset.x_train),
            "test_images": total,
            "source": dataset.source,
        }
        seconds = sum_seconds(list(trainers.values()))
        record = make_comparison_record("convnet", options, backends, options.dtype, results, seconds)
        write_json(options.json, record)
    return 0


def make_model(dataset: str) -> Sequential:
    """Return the network for the images of a data set, of shape (height, width, 1).

    MNIST: convolutions 5 x 5 x 8 and 5 x 5 x 16 without padding; the pooled outputs are 12 x 12 x 8 and
    4 x 4 x 16. Digits: convolutions 3 x 3 x 16 and 3 x 3 x 32 with padding; the pooled outputs are
    4 x 4 x 16 and 2 x 2 x 32. Source: Y. LeCun et al., Gradient-based learning applied to document
    recognition, Proceedings of the IEEE 86, 1998, section II; with maxima and ReLU instead of means and
    sigmoids, and with other numbers of filters.
    """
    filters, kernel_size, padding = ARCHITECTURES[dataset]
    weights = He()
    layers: list[Layer] = []
    for count in filters:
        layers += [
            Conv2D(count, kernel_size, padding=padding, weight_initializer=weights),
            ReLU(),
            MaxPool2D(2),
        ]
    hidden = [Dense(HIDDEN_UNITS, weight_initializer=weights), ReLU()]
    return Sequential([*layers, Flatten(), *hidden, Dense(CLASSES, weight_initializer=weights)])


def as_images(dataset: Dataset, x: HostArray) -> HostArray:
    """Return flattened images as (examples, height, width, 1)."""
    return x.reshape(len(x), *dataset.image_shape, 1)


def train(options: argparse.Namespace, dataset: Dataset, backend: Backend) -> Trainer:
    """Train, and return the trainer."""
    steps = options.epochs * math.ceil(len(dataset.x_train) / options.batch_size)
    trainer = Trainer(
        make_model(dataset.name),
        SoftmaxCrossEntropy(_LABEL_SMOOTHING),
        AdamW(CosineDecay(options.learning_rate, steps), weight_decay=_WEIGHT_DECAY),
        metrics={"accuracy": accuracy},
        backend=backend,
        dtype=options.dtype,
        seed=options.seed,
    )
    raise_if_interrupted(
        trainer.fit(
            as_images(dataset, dataset.x_train),
            dataset.y_train,
            epochs=options.epochs,
            batch_size=options.batch_size,
            validation_data=(as_images(dataset, dataset.x_test), dataset.y_test),
        )
    )
    return trainer


def _print_task(options: argparse.Namespace, dataset: Dataset) -> None:
    filters, kernel_size, padding = ARCHITECTURES[dataset.name]
    convolutions = ", ".join(f"{kernel_size}x{kernel_size}x{count}" for count in filters)
    height, width = dataset.image_shape
    train_images, test_images = len(dataset.x_train), len(dataset.x_test)
    print(f"data       {dataset.source}")
    print(f"images     {train_images:,} to train, {test_images:,} to test, {height} x {width}")
    print(f"network    convolutions {convolutions} ({padding}), each with ReLU and pooling 2x2,")
    print(f"           then {HIDDEN_UNITS} ReLU units and softmax over {CLASSES} classes")
    print(
        f"optimizer  adamw, learning rate {options.learning_rate:g} (cosine), weight decay "
        f"{_WEIGHT_DECAY:g}"
    )
    print(
        f"training   epochs {options.epochs}, batch size {options.batch_size}, label smoothing "
        f"{_LABEL_SMOOTHING:g}, {options.dtype}, seed {options.seed}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
