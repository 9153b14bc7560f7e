"""A small MNIST of 30 images."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from experiments.datasets import mnist
from experiments.datasets.idx import idx_header

IDX_NAMES = {part: stem for part, (stem, _) in mnist.FILES.items()}

Parts = dict[str, np.ndarray]


def make_mnist_small(patch: pytest.MonkeyPatch) -> Parts:
    """Replace MNIST by 20 + 10 random images, and return its four uint8 arrays."""
    rng = np.random.default_rng(0)
    parts = {
        "x_train": rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        "y_train": np.repeat(np.arange(10, dtype=np.uint8), 2),
        "x_test": rng.integers(0, 256, (10, 28, 28), dtype=np.uint8),
        "y_test": np.arange(10, dtype=np.uint8),
    }
    patch.setattr(mnist, "TRAIN_COUNTS", (2,) * 10)
    patch.setattr(mnist, "TEST_COUNTS", (1,) * 10)
    digests = {part: hashlib.sha256(idx_bytes(array)).hexdigest() for part, array in parts.items()}
    patch.setattr(mnist, "FILES", {part: (IDX_NAMES[part], digests[part]) for part in parts})
    return parts


def idx_bytes(array: np.ndarray) -> bytes:
    """Return the content of an IDX file."""
    return idx_header(array.shape) + array.tobytes()


def write_idx_files(folder: Path, parts: Parts) -> None:
    """Create a folder with the four files."""
    folder.mkdir()
    for part, array in parts.items():
        (folder / IDX_NAMES[part]).write_bytes(idx_bytes(array))
