"""Whether a figure gets better."""

import math

from multinn.history import Record


class Monitor:
    """Knows the best value so far of one figure of the records.

    Attributes:
        name: of the figure.
        best: its best value; infinite before the first.
    """

    def __init__(self, owner: str, name: str, mode: str, min_delta: float = 0.0) -> None:
        """Take what all callbacks with a monitor have.

        Args:
            owner: the name of the callback, for messages.
            name: of the figure, such as ``validation_loss``.
            mode: "min" where smaller is better, "max" where larger is.
            min_delta: how much better a value has to be to count.

        Raises:
            ValueError: the mode is another, or min_delta is not 0 or more.
        """
        if mode not in ("min", "max"):
            raise ValueError(f"{owner}: expected the mode 'min' or 'max', got {mode!r}")
        if not 0.0 <= min_delta < math.inf:
            raise ValueError(f"{owner}: expected a finite min_delta of 0 or more, got {min_delta}")
        self.name = name
        self._sign = 1.0 if mode == "min" else -1.0
        self._min_delta = min_delta
        self.reset()

    def reset(self) -> None:
        """Forget all values."""
        self.best = self._sign * math.inf

    def improves(self, record: Record) -> bool:
        """Tell whether the figure is better than ever before, and remember it then. NaN never is."""
        value = record[self.name]
        better = self._sign * value < self._sign * self.best - self._min_delta
        if better:
            self.best = value
        return better
