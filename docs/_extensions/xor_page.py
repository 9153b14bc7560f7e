"""The directive ``xor-page``: a page on which one can step through the training of a network on XOR."""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from multinn import Adam, BinaryCrossEntropy, Dense, Sequential, Tanh, Trainer

TARGET = "_static/xor.html"
FRAME = (
    f'<iframe class="stepper" src="{TARGET}" title="Three training steps of a network that learns XOR" '
    'sandbox="allow-scripts"></iframe>'
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive, and write the page when the site is complete."""
    app.add_directive("xor-page", XorPage)
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class XorPage(SphinxDirective):
    """Show the page in a frame; for a document beside the start page."""

    def run(self) -> list[nodes.Node]:
        """Return the frame."""
        return [nodes.raw("", FRAME, format="html")]


def save_xor_page(path: Path) -> None:
    """Write a page with three training steps of a small network on the four examples of XOR."""
    model = Sequential([Dense(2), Tanh(), Dense(1)])
    trainer = Trainer(model, BinaryCrossEntropy(), Adam(0.1), backend="numpy", dtype="float64", seed=0)
    trace = trainer.trace([[0, 1], [1, 0], [1, 1], [0, 0]], [[1], [1], [0], [0]], steps=3)
    trace.save(path)


def _write(app: Sphinx, exception: Exception | None) -> None:
    if exception is None:
        save_xor_page(Path(app.outdir) / TARGET)
