"""The live page: the view of a trace, with buttons, the curve of losses and the surface of outputs."""

from functools import cache
from pathlib import Path

from multinn.tracing.page import script, style

_FOLDER = Path(__file__).parent
_SCRIPTS = ("curve.js", "surface.js", "live.js")  # one block, whose names are not those of the view


def page(nonce: str) -> str:
    """Return the page, which runs only the scripts and styles with that nonce."""
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A network in training</title>
<link rel="icon" href="data:,">
<style nonce="{nonce}">
{style()}{_text("live.css")}</style>
{_text("live.html")}<script type="module" nonce="{nonce}">
{script()}{{
{"".join(map(_text, _SCRIPTS))}}}
</script>
</html>
"""


def policy(nonce: str) -> str:
    """Return the Content-Security-Policy of the page."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
