"""The page on which one can step through a network that learns XOR, for the start page."""

from pathlib import Path

from sphinx.application import Sphinx

from multinn import Adam, BinaryCrossEntropy, Dense, Sequential, Tanh, Trainer


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the page when the site is complete."""
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Sphinx, exception: Exception | None) -> None:
    if exception is None:
        save_xor_page(Path(app.outdir) / "_static" / "xor.html")


def save_xor_page(path: Path) -> None:
    """Write a page with three training steps of a small network on the four examples of XOR."""
    model = Sequential([Dense(2), Tanh(), Dense(1)])
    trainer = Trainer(model, BinaryCrossEntropy(), Adam(0.1), backend="numpy", dtype="float64", seed=0)
    trace = trainer.trace([[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]], steps=3)
    trace.save(path)
