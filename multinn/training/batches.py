"""Batches that are read during training, for data that do not fit in memory."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import chain
from threading import Event
from typing import Any

import numpy as np

from backends import HostArray, tree
from backends.aligned import aligned_empty
from multinn.host.checks import as_host_array, check_flags, check_integers, check_weights
from multinn.host.trees import count_of, entries_of, map_entries
from multinn.training.compiled import signature
from multinn.training.examples import counting
from multinn.training.program import Examples, epoch_order

Batch = tuple[Any, ...]
Batches = Iterable[Batch] | Callable[[int], Iterable[Batch]]

_MOST_BYTES, _MOST_SLOTS = 2**23, 64  # of a group; one batch may be larger


@dataclass(frozen=True)
class ShuffledBatches:
    """Batches of arrays in the order of `Trainer.fit`, each read when it is needed.

    An instance takes the number of an epoch, from 0, and yields the batches of that epoch.

    Attributes:
        x: (examples, ...), such as a `numpy.memmap`, or the result of `numpy.load` with
            ``mmap_mode="r"``; or a dict or a tuple of these. Lists and pandas tables are converted to
            arrays in memory.
        y: (examples, ...), as x.
        weights: (examples,) or (examples, ...), or a dict or a tuple of these, or None; they are divided
            by their mean.
        batch_size: examples in a batch; the last batch of an epoch takes the rest.
        seed: of the order; with the trainer's seed, the order is that of `Trainer.fit`.
        shuffle: whether each epoch has its own random order, if it has more than one batch.

    Raises:
        TypeError, ValueError: the arrays have different lengths or are empty, or a number is invalid.

    >>> batches = ShuffledBatches(np.arange(5)[:, None], np.arange(5), batch_size=2, shuffle=False)
    >>> [y.tolist() for x, y in batches(0)]
    [[0, 1], [2, 3], [4]]
    """

    x: Any
    y: Any
    weights: Any = None
    batch_size: int = 32
    seed: int = 0
    shuffle: bool = True

    def __post_init__(self) -> None:
        check_flags(shuffle=self.shuffle)
        check_integers(batch_size=self.batch_size)
        check_integers(minimum=0, seed=self.seed)
        for name in ("x", "y"):
            entries = entries_of(getattr(self, name), name)
            object.__setattr__(self, name, map_entries(_indexable_by_row, entries, name))
        counts = {len(array) for array in tree.leaves((self.x, self.y))}
        if counts in ({0}, set()) or len(counts) > 1:
            rows = [tree.map(len, entries) for entries in (self.y, self.x)]
            raise ValueError(
                "ShuffledBatches: expected as many rows of y as of x, at least one, got "
                f"{rows[0]} and {rows[1]}"
            )
        if self.weights is not None:
            weights = map_entries(self._with_mean_1, entries_of(self.weights, "weights"), "weights")
            object.__setattr__(self, "weights", weights)

    def _with_mean_1(self, weights: Any, name: str) -> HostArray:
        array = as_host_array(weights, name)
        count, entries = count_of(self.x), array.shape[1:]
        checked = check_weights(array, count, "float64", name=name, entries=entries)
        return np.asarray(checked / checked.mean())

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """Yield (x, y) or (x, y, weights) of each batch of an epoch."""
        count = count_of(self.x)
        # A single batch keeps the order of the examples, as in fit.
        order = epoch_order(count, self.seed, epoch, self.shuffle and self.batch_size < count)
        arrays = (self.x, self.y) if self.weights is None else (self.x, self.y, self.weights)
        for start in range(0, count, self.batch_size):
            rows = order[start : start + self.batch_size]
            yield tree.map(lambda array: np.asarray(array[rows]), arrays)  # noqa: B023


def _indexable_by_row(values: Any, name: str) -> Any:
    """Return an array that is indexed by row number, not by label as in pandas.

    Raises:
        TypeError: the array is sparse, or has no axes.
    """
    if hasattr(values, "toarray"):
        raise TypeError(
            f"ShuffledBatches: expected {name} as a dense array, got a sparse {type(values).__name__}: "
            f"use {name}.toarray(), or a function that makes each batch dense"
        )
    indexable = hasattr(values, "shape") and not hasattr(values, "iloc")
    array = values if indexable else as_host_array(values, name)
    if not array.shape:
        raise TypeError(f"ShuffledBatches: expected {name}: an array (examples, ...), got {values!r}")
    return array


def batches_of(batches: Batches, epoch: int) -> Iterable[Batch]:
    """Return the batches of an epoch, counted from 0.

    Raises:
        TypeError: ``batches`` is a function that returns something else.
    """
    if not callable(batches):
        return batches
    of_epoch: Any = batches(epoch)
    if not isinstance(of_epoch, Iterable):
        raise TypeError(
            f"fit_batches: expected the function to return an iterable of batches, got {of_epoch!r:.99}"
        )
    return of_epoch


def with_first(batches: Batches, epoch: int, reader: Executor) -> tuple[Batches, Batch]:
    """Return the same batches, and the first batch of an epoch. The epoch is still iterated only once.

    Args:
        batches: the batches of each epoch.
        epoch: the number of the epoch, from 0.
        reader: the thread that reads all batches.

    Raises:
        ValueError: the epoch has no batches.
    """
    rest = iter(batches_of(batches, epoch))
    first = reader.submit(next, rest, None).result()
    if first is None:
        raise ValueError(f"fit_batches: no batches for epoch {epoch + 1}")
    whole_epoch = chain([first], rest)
    return lambda number: whole_epoch if number == epoch else batches_of(batches, number), first


def check_batches(batches: Any, epochs: int) -> None:
    """Raise TypeError or ValueError unless the batches suffice for that many epochs."""
    is_class = isinstance(batches, type)
    if callable(batches) and not is_class:
        return
    if is_class or not isinstance(batches, Iterable):
        raise TypeError(
            "fit_batches: expected an iterable of batches (x, y) or (x, y, weights), or a function of "
            f"the number of the epoch that returns one, got {batches!r}"
        )
    if epochs > 1 and isinstance(batches, Iterator):
        raise ValueError(
            f"fit_batches: expected batches for {epochs} epochs, got an iterator, which is read once; "
            "give a function of the number of the epoch that returns one"
        )


@dataclass(frozen=True)
class Group:
    """Consecutive batches of equal shapes and dtypes.

    Attributes:
        batches: leaves (slots, batch, ...), on the host; some of the last slots may be unused.
        count: the number of batches.
    """

    batches: Examples
    count: int


def grouped(
    batches: Iterator[Examples], most: Callable[[int], int], reader: Executor
) -> Iterator[Group]:
    """Yield groups of consecutive batches; the reader's thread fills the next one while one is in use.

    A group that is wanted is handed over as soon as the batch that is being read has arrived, even if it
    holds one batch only.

    Args:
        batches: the batches, which the reader's thread makes.
        most: returns the largest number of batches of a group, given the number of batches before it.
        reader: the thread.
    """
    groups, done = _Groups(batches), 0
    try:
        groups.is_wanted.set()
        next_group = reader.submit(groups.read, most(done))
        while group := next_group.result():
            groups.is_wanted.clear()
            done += group.count
            next_group = reader.submit(groups.read, most(done))
            yield group
            groups.is_wanted.set()
    finally:
        groups.is_wanted.set()


class _Groups:
    """Reads batches, and copies them into groups.

    Attributes:
        is_wanted: set while the next group is waited for.
    """

    def __init__(self, batches: Iterator[Examples]) -> None:
        self.is_wanted = Event()
        self._batches = batches
        self._next: Any = None  # what was read after a group that it does not fit

    def read(self, most: int) -> Group | None:
        """Return the next group, or None at the end.

        Raises:
            BaseException: the error of the first batch; a later one is raised by the next call.
        """
        first = self._read() if self._next is None else self._next
        self._next = None
        if first is None:
            return None
        if isinstance(first, BaseException):
            raise first
        slots = min(_MOST_SLOTS, max(1, _MOST_BYTES // sum(leaf.nbytes for leaf in tree.leaves(first))))
        group = tree.map(lambda leaf: aligned_empty((slots, *leaf.shape), leaf.dtype), first)
        batch, count = first, 0
        while True:
            for leaf, array in zip(tree.leaves(group), tree.leaves(batch), strict=True):
                leaf[count] = array
            count += 1
            if count >= min(slots, most) or self.is_wanted.is_set() or stands_alone(batch):
                break
            batch = self._read()
            if not _is_alike(first, batch):
                self._next = batch
                break
        return Group(group, count)

    def _read(self) -> Any:
        """Return the next batch, None at the end, or an error."""
        try:
            return next(self._batches, None)
        except BaseException as error:
            return error


def _is_alike(batch: Examples, other: Any) -> bool:
    """Return whether both can be in one group."""
    return (
        isinstance(other, Examples) and not stands_alone(other) and signature(batch) == signature(other)
    )


def stands_alone(batch: Examples) -> bool:
    """Return whether all examples have weight 0, so that the step must not change layers' states."""
    return batch.weights is not None and not counting(batch.weights).any()
