"""The settings of the site, which ``make docs`` builds with Sphinx."""

import hashlib
import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS / "_extensions")]

from sphinx.application import Sphinx  # noqa: E402

from multinn import __version__ as release  # noqa: E402, F401

project = "multinn"
copyright = "the multinn developers"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "docstrings",
    "mathml",
    "notebook_downloads",
    "public_names",
    "signatures",
    "xor_page",
]
exclude_patterns = ["_extensions", "_templates"]
templates_path = ["_templates"]

# Markdown and formulas
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
html_math_renderer = "mathml"


def _sources() -> str:
    """Return a hash of the library, since the outputs of a notebook depend on it, too."""
    digest = hashlib.sha256()
    for package in ("backends", "multinn"):
        for path in sorted((ROOT / package).rglob("*.*")):
            if path.suffix in (".py", ".js", ".css"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# Notebooks
nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / "build" / "notebook-cache" / _sources())
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
os.environ["MULTINN_DOCS"] = ".."  # seen from a tutorial, for the links of estimators
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # by default, pages load them from elsewhere

# The reference
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

# The pages
html_theme = "pydata_sphinx_theme"
html_title = "multinn"
html_favicon = "_static/icon.svg"
html_context = {"default_mode": "auto"}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["frames.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # a browser cannot fetch them from files on the disk
html_theme_options = {
    "back_to_top_button": False,
    "article_header_end": ["notebook-download.html"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "logo": {"image_light": "_static/icon.svg", "image_dark": "_static/icon.svg", "text": "multinn"},
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "show_toc_level": 1,
}


def setup(app: Sphinx) -> None:
    """Let links to CONTRIBUTING.md, which is outside of this folder, lead to its page of the site."""
    app.connect("source-read", _read)


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = source[0].replace("](../CONTRIBUTING.md", "](project/contributing.md")
