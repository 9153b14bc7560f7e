"""Ctrl-C ends an experiment as a whole, not only the run of training in it."""

from multinn import History


def whole(history: History) -> History:
    """Return the history of a run.

    Raises:
        KeyboardInterrupt: the run was interrupted.
    """
    if history.interrupted:
        raise KeyboardInterrupt
    return history
