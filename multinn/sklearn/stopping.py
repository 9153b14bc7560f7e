"""When training stops: the rule of scikit-learn."""

import math
from dataclasses import dataclass

# Epochs in one call of a compiled program, where none of them can be the last.
EPOCHS_A_CALL = 8


@dataclass
class Improvement:
    """Counts epochs in a row without an improvement by at least a tolerance.

    Attributes:
        best: the best figure so far: the largest score, or the smallest loss with its sign changed.
        count: how many epochs in a row were no improvement.
    """

    best: float = -math.inf
    count: int = 0

    def see(self, figure: float, tol: float) -> bool:
        """Count one epoch, and tell whether it is the best so far.

        Args:
            figure: a score, or a loss with its sign changed.
            tol: how much better than the best counts, at least.
        """
        self.count = 0 if figure >= self.best + tol else self.count + 1
        if figure > self.best:
            self.best = figure
            return True
        return False

    def quiet_epochs(self, patience: float) -> float:
        """Return how many epochs, at least, come before the count can be above ``patience``."""
        return patience + 1 - self.count
