"""The adding problem: add the two marked numbers of a long sequence.

Each step of a sequence is a pair: a number, uniform in [0, 1), and a mark, 1 at two steps and 0 at the
others. One marked step is in the first half of the sequence, one in the second. The target is the sum
of both numbers. A sequence may end early; the remaining steps are padding, (0, 0).

Always answering 1, the mean of the sum, has a mean squared error of 1/6, the variance of the sum.
Source: S. Hochreiter and J. Schmidhuber, Long short-term memory, Neural Computation 9, 1997, section
5.4; with numbers and targets as in Q. V. Le, N. Jaitly and G. E. Hinton, A simple way to initialize
recurrent networks of rectified linear units, 2015, section 4.1.
"""

from typing import Final, NamedTuple

import numpy as np

from backends import HostArray

CONSTANT_ERROR: Final = 1.0 / 6.0
LEAST_STEPS: Final = 2


class Sequences(NamedTuple):
    """Examples of the task: x (examples, steps, 2) and y (examples, 1), the sums, float64."""

    x: HostArray
    y: HostArray


def draw_sequences(
    generator: np.random.Generator, examples: int, steps: int, shortest: int
) -> Sequences:
    """Draw examples.

    Args:
        generator: draws all numbers.
        examples: the number of sequences.
        steps: the length of a sequence with its padding.
        shortest: the smallest length without padding, at least 2; lengths are uniform.

    >>> x, y = draw_sequences(np.random.default_rng(0), examples=3, steps=8, shortest=4)
    >>> x.shape, y.shape, x[:, :, 1].sum(axis=1).tolist()
    ((3, 8, 2), (3, 1), [2.0, 2.0, 2.0])
    """
    lengths = generator.integers(shortest, steps, examples, endpoint=True)
    numbers = generator.random((examples, steps))
    middle = lengths // 2
    marks = np.zeros((examples, steps))
    every = np.arange(examples)
    marks[every, generator.integers(0, middle)] = 1.0
    marks[every, generator.integers(middle, lengths)] = 1.0
    numbers[np.arange(steps) >= lengths[:, None]] = 0.0
    return Sequences(np.stack([numbers, marks], axis=-1), (numbers * marks).sum(axis=1, keepdims=True))
