"""The best value so far of a loss or a metric."""

import math

from multinn.training.history import Record


class Monitor:
    """The best value so far of a loss or a metric in the records.

    Attributes:
        name: the name of the loss or the metric.
        best: the best value; infinite before the first.
    """

    def __init__(self, owner: str, name: str, mode: str | None, min_delta: float = 0.0) -> None:
        """Check the options.

        Args:
            owner: the name of the callback, for messages.
            name: the name of the loss or the metric, such as ``validation_loss``.
            mode: "min" if smaller is better, "max" if larger is; None means "min", for a loss only.
            min_delta: an improvement must be larger than this.

        Raises:
            ValueError: the mode is invalid, or None for a metric; or min_delta is not 0 or more.
        """
        if mode is None:
            # Heads reports losses such as "loss_price". The user names the metrics.
            if name.removeprefix("validation_").split("_")[0] != "loss":
                raise ValueError(
                    f"{owner}: expected a mode for {name!r}: 'min' if smaller is better, or 'max' if "
                    "larger is, as for an accuracy or a score"
                )
            mode = "min"
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
        """Return whether the value improves on the best so far, and keep it if so. NaN never does."""
        value = record[self.name]
        better = self.is_better(value, self.best)
        if better:
            self.best = value
        return better

    def is_better(self, value: float, reference: float) -> bool:
        """Return whether a value is better than a reference, by more than min_delta. NaN never is."""
        return self._sign * value < self._sign * reference - self._min_delta
