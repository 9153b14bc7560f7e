"""Let Ctrl-C during training end the whole experiment."""

from multinn import History


def raise_if_interrupted(history: History) -> History:
    """Return the history.

    Raises:
        KeyboardInterrupt: training was interrupted.
    """
    if history.interrupted:
        raise KeyboardInterrupt
    return history
