"""Whether a figure gets better."""

import math

from multinn.host.checks import check_number
from multinn.training.history import Record

_LOSSES = ("loss", "validation_loss")  # which are to be small; a metric is named by its user


class Monitor:
    """Knows the best value so far of one figure of the records.

    Attributes:
        name: of the figure.
        best: its best value; infinite before the first.
    """

    def __init__(self, owner: str, name: str, mode: str | None, min_delta: float = 0.0) -> None:
        """Take what all callbacks with a monitor have.

        Args:
            owner: the name of the callback, for messages.
            name: of the figure, such as ``validation_loss``.
            mode: "min" where smaller is better, "max" where larger is; of a loss, None is "min".
            min_delta: how much better a value has to be to count.

        Raises:
            TypeError: min_delta is no number.
            ValueError: the mode is another, or None and nothing tells it, or min_delta is not 0 or more.
        """
        if mode is None:
            if name not in _LOSSES:
                raise ValueError(
                    f"{owner}: expected a mode for {name!r}, 'min' where smaller is better, or 'max' "
                    "where larger is, as of an accuracy or a score"
                )
            mode = "min"
        if mode not in ("min", "max"):
            raise ValueError(f"{owner}: expected the mode 'min' or 'max', got {mode!r}")
        check_number(owner, "min_delta", min_delta)
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
