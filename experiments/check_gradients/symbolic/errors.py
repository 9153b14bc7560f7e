"""The errors of computer algebra."""


class UnreachedError(Exception):
    """Computer algebra cannot decide this; the message is the reason."""


class FullError(Exception):
    """There are more symbols and names than the capacity of the field."""
