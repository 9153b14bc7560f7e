"""A trainer as text, and in notebooks."""

import math
from typing import Any

from backends import Shape, tree
from multinn.descriptions.brief import brief
from multinn.descriptions.html import facts as table_of
from multinn.host.text import figures, shorten


def text(trainer: Any) -> str:
    """Return the parts and the progress of a trainer, a line for each, at most 80 columns wide."""
    facts = {"model": brief(trainer.model)}
    if trainer.params is not None:
        sizes = (math.prod(leaf.shape) for leaf in tree.leaves(trainer.params))
        facts["parameters"] = f"{sum(sizes):,}"
    lines = [type(trainer).__name__]
    for name, fact in (facts | _facts(trainer, width=67)).items():
        first, *more = (shorten(line, 67) for line in fact.split("\n"))
        lines += [f"  {name:<10} {first}", *(" " * 13 + line for line in more)]
    return "\n".join(lines)


def html(trainer: Any, input_shape: Shape | None) -> str:
    """Return the parts and the progress of a trainer, and a table of its model, as HTML.

    Args:
        trainer: the trainer.
        input_shape: the shape of one example, for the table; None if it is unknown.
    """
    model = trainer.model if input_shape is None else trainer.summary(input_shape)
    return f"<div>{table_of(_facts(trainer))}{model._repr_html_()}</div>"


def _facts(trainer: Any, width: int | None = None) -> dict[str, str]:
    """Return the parts other than the model, and the progress, as texts by name.

    Args:
        trainer: the trainer.
        width: the most characters of a line of the last metrics; None for one line of any length.
    """
    backend = trainer.backend
    facts = {
        "loss": brief(trainer.loss),
        "optimizer": brief(trainer.optimizer),
        "metrics": ", ".join(trainer.metrics),
        "backend": f"{backend.name} on {backend.device}, {trainer.dtype}",
        "progress": f"epoch {trainer.epoch:,}, step {trainer.step:,}",
        "last": figures(trainer.history[-1], width) if trainer.history else "",
    }
    return {name: text for name, text in facts.items() if text}
