"""Executed notebooks for download: one for each page that is a notebook.

While it reads a notebook, myst-nb writes the executed one to a folder beside the site. This extension
copies it into the site, and tells the template ``notebook-download.html`` its address.
"""

import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ext import OUTPUT_FOLDER
from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the writing of each page."""
    app.connect("html-page-context", _offer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _offer(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    notebook = Path(app.outdir).parent / OUTPUT_FOLDER / f"{page}.ipynb"
    if "kernelspec" in app.env.metadata.get(page, {}):
        target = f"_downloads/{page}.ipynb"
        path = Path(app.outdir) / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(notebook, path)
        context["notebook"] = target
