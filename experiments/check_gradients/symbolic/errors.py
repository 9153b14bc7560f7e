"""What can be in the way of a proof."""


class UnreachedError(Exception):
    """What this algebra does not reach, and why."""


class FullError(Exception):
    """There are more symbols and names than the field was made for."""
