"""A convolutional network for handwritten digits, in the manner of LeNet, on one backend or several.

Two convolutions, each followed by ReLU and a maximum pooling, then two fully connected layers: see
`make_model`. The same seed gives the same curve on each backend. The test images are looked at after
each epoch, for the curve, and decide nothing.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from backends import Backend, HostArray
from experiments.datasets import NAMES, Dataset, load
from experiments.digits.__main__ import TITLES, predict_probabilities
from experiments.digits.curves import curve_results, format_curves, format_ends, sum_seconds, train_on
from experiments.digits.curves_figure import draw_learning_curves
from experiments.digits.figures import draw_samples
from experiments.shared.command_line import (
    add_backends,
    chosen_backends,
    from_zero_below,
    make_parser,
    positive,
    run_script,
)
from experiments.shared.interrupted import whole
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

#: Filters of both convolutions, their kernel and their padding, by the data set.
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
# Chosen on 10,000 of MNIST's training images that were held out for this.
_LEARNING_RATE: Final = 0.006
_WEIGHT_DECAY: Final = 0.1
_LABEL_SMOOTHING: Final = 0.05

_FIGURES: Final = {
    "loss": "training loss",
    "accuracy": "accuracy",
    "validation_loss": "test loss",
    "validation_accuracy": "accuracy",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script, and return its exit status."""
    parser = make_parser(
        "convnet",
        "Train a convolutional network on handwritten digits, the 8 x 8 images that are bundled with "
        "scikit-learn or MNIST, on each backend from the same seed; compare the curves.",
    )
    add_backends(parser)
    parser.add_argument("--dataset", choices=NAMES, default="digits", help="what to train on")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of MNIST's four IDX files")
    parser.add_argument(
        "--dtype",
        choices=("float64", "float32"),
        default="float64",
        help="float32 takes about half the time; with it, rounding soon sets the backends apart",
    )
    for name, meaning in (
        ("epochs", "passes over the training images"),
        ("batch_size", "images a step"),
    ):
        values = ", ".join(f"{of[name]} for {dataset}" for dataset, of in DEFAULTS.items())
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=positive, metavar="N", help=f"{meaning}; {values}")
    parser.add_argument(
        "--learning-rate",
        type=from_zero_below(math.inf),
        default=_LEARNING_RATE,
        metavar="X",
        help="that of the first step; it falls to zero along a cosine",
    )
    return run_script(run, parser, arguments)


def run(options: argparse.Namespace) -> int:
    """Train on each backend, evaluate on the test images, compare, and report."""
    for name, value in DEFAULTS[options.dataset].items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    backends = chosen_backends(options)
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
    print(f"\n{format_curves(trainers, _FIGURES)}\n")
    total = len(dataset.y_test)
    for name, count in right.items():
        wrong = f"{count:,} of {total:,} right, {total - count:,} wrong"
        print(f"test accuracy on {name}: {count / total:.2%}, {wrong}")
    print(format_ends(trainers))
    first, *_ = trainers
    if options.out:
        name = f"convnet_{dataset.name}"
        title = f"convolutional network on {TITLES[dataset.name]}"
        draw_learning_curves(trainers, f"Learning curves: {title}", options.out, name)
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

    For MNIST, 5 x 5 x 8 and 5 x 5 x 16 without padding: after each pooling, 12 x 12 x 8 and 4 x 4 x 16
    are left. For the digits of 8 x 8, 3 x 3 x 16 and 3 x 3 x 32 with padding, and 4 x 4 x 16 and
    2 x 2 x 32 are left. Source: Y. LeCun et al., Gradient-based learning applied to document
    recognition, Proceedings of the IEEE 86, 1998, section II; with maxima and ReLU in place of means and
    sigmoids, and another number of filters.
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
    """Return a trainer after its training."""
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
    whole(
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
    print(f"           then {HIDDEN_UNITS} ReLU and {CLASSES} softmax")
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
