"""Text in a limited width."""


def shorten(text: str, width: int) -> str:
    """Return the text; if it is longer than ``width``, cut it and end it with "…"."""
    return text if len(text) <= width else f"{text[: width - 1]}…"
