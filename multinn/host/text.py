"""Text in a limited width."""


def shorten(text: str, width: int) -> str:
    """Return the text, truncated to ``width`` characters with "…" at the end if it is longer."""
    return text if len(text) <= width else f"{text[: width - 1]}…"
