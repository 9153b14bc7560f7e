"""n-gram models of characters, the baselines of the language model."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from backends import HostArray


class _Counts(NamedTuple):
    """Sequences, as sorted codes, and how often each occurs."""

    codes: HostArray
    counts: HostArray

    def of(self, codes: HostArray) -> HostArray:
        """Return the counts of these sequences, 0 if one does not occur."""
        places = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        return np.where(self.codes[places] == codes, self.counts[places], 0)


class _Length(NamedTuple):
    """The counts for histories of one length: C(hc), N(h) and T(h)."""

    occurrences: _Counts
    successors: _Counts
    different_successors: _Counts


@dataclass(frozen=True)
class NGram:
    """p(c | h), the probability of a character after a history h of ``order`` - 1 characters.

    In a text, C(hc) is how often c follows h, N(h) how often any character does, and T(h) how many
    different characters do. With h' the history without its first character,

        p(c | h) = (C(hc) + T(h) p(c | h')) / (N(h) + T(h)),    and p(c | h) = p(c | h') if N(h) = 0.

    The more different characters follow a history, the larger is the weight of the shorter one. After
    the history of length zero comes the uniform distribution over all characters.
    Source: I. Witten and T. Bell, The zero-frequency problem, IEEE Transactions on Information Theory,
    1991, method C; in this form: S. Chen and J. Goodman, An empirical study of smoothing techniques for
    language modeling, Harvard TR-10-98, 1998, section 2.5.

    Attributes:
        order: the length of a history plus 1.
        characters: the number of different characters.
        lengths: the counts by the length of the history.

    >>> model = count_ngrams(np.array([0, 1, 0, 0]), order=2, characters=2)
    >>> model.probabilities(np.array([[0, 0], [0, 1]])).round(4).tolist()
    [0.5833, 0.4167]
    """

    order: int
    characters: int
    lengths: tuple[_Length, ...]

    def probabilities(self, windows: HostArray) -> HostArray:
        """Return p(last character | the others) for each window, (windows, order)."""
        p = np.full(len(windows), 1.0 / self.characters)
        for length, (occurrences, successors, different) in enumerate(self.lengths):
            codes = _codes(windows[:, self.order - 1 - length :], self.characters)
            histories = codes // self.characters
            N, T = successors.of(histories), different.of(histories)
            interpolated = (occurrences.of(codes) + T * p) / np.maximum(N + T, 1)
            p = np.where(N > 0, interpolated, p)
        return p

    def loss(self, ids: HostArray, start: int) -> float:
        """Return the mean of -log p, in nats, over the characters of a text from index ``start`` on.

        Args:
            ids: the text.
            start: at least ``order`` - 1, so that each character has a whole history.
        """
        windows = np.lib.stride_tricks.sliding_window_view(ids[start - self.order + 1 :], self.order)
        return float(-np.mean(np.log(self.probabilities(windows))))


def count_ngrams(ids: HostArray, order: int, characters: int) -> NGram:
    """Return the model of a text.

    Args:
        ids: the text, integers from 0 to ``characters`` - 1.
        order: at least 1; 3 for a trigram model.
        characters: the number of different characters.

    Raises:
        ValueError: the text is shorter than the order, or the order is out of range.
    """
    most = int(63 / math.log2(max(characters, 2)))  # the code of a window has 63 bits
    if not 1 <= order <= most:
        raise ValueError(f"n-grams: expected an order from 1 to {most}, got {order}")
    if len(ids) < order:
        raise ValueError(f"n-grams: expected a text of at least {order} characters, got {len(ids)}")
    lengths = (_count(ids, length, characters) for length in range(order))
    return NGram(order, characters, tuple(lengths))


def _count(ids: HostArray, length: int, characters: int) -> _Length:
    """Count what follows each history of the given length."""
    windows = np.lib.stride_tricks.sliding_window_view(ids, length + 1)
    codes, occurrences = np.unique(_codes(windows, characters), return_counts=True)
    histories, which, different = np.unique(codes // characters, return_inverse=True, return_counts=True)
    successors = np.bincount(which, occurrences).astype(np.int64)
    return _Length(
        _Counts(codes, occurrences), _Counts(histories, successors), _Counts(histories, different)
    )


def _codes(windows: HostArray, characters: int) -> HostArray:
    """Return each window (windows, length) as one number, whose digits are the ids."""
    codes = np.zeros(len(windows), np.int64)
    for column in range(windows.shape[1]):
        codes = codes * characters + windows[:, column]
    return codes
