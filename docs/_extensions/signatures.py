"""Signatures as they are written: ``x: Array`` instead of ``x: Any``, which is what it stands for."""

import ast
import inspect
import textwrap
from typing import Any

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Replace the signatures that autodoc takes from the objects by those of the source."""
    app.connect("autodoc-process-signature", _written)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _written(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """Return the parameters and the type of the result, or None to keep them as they are."""
    if what not in ("function", "method"):
        return None
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(obj))).body
    assert isinstance(function, ast.FunctionDef)
    parameters = function.args
    if parameters.args and parameters.args[0].arg in ("self", "cls"):
        del parameters.args[0]
    result = None if function.returns is None else ast.unparse(function.returns)
    return f"({ast.unparse(parameters)})", result
