"""Formulas, translated from TeX to MathML while the site is built; browsers draw MathML themselves."""

import html
import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

_LOGGER = logging.getLogger(__name__)
_THIN_SPACE = '<mspace width="0.1667em"></mspace>'
# Spaces as in TeX, which docutils leaves out: around names of functions, and within bars.
_SPACING = (
    (re.compile(r"(<mo>&ApplyFunction;</mo>)(?!\s*(?:<mrow>\s*)?<mo\b)"), rf"\1{_THIN_SPACE}"),
    (
        re.compile(
            r"(</(?:mi|mn|msub|msup|msubsup|mfrac)>|\)</mo>)(?=\s*<mi[^>]*>\w{2,}</mi>\s*<mo>&App)"
        ),
        rf"\1{_THIN_SPACE}",
    ),
    (re.compile(r"<mo(.*?)>(max|min)</mo>"), r'<mo\1 lspace="0" rspace="0">\2</mo>'),
    (re.compile(r"<mo[^>]*>([|‖])</mo>"), r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>'),
)
_EQUALS = "\n  <mo>=</mo>"  # not within another element
_START = '<math xmlns="http://www.w3.org/1998/Math/MathML">'
_WORD_JOINER = "&#8288;"  # a line does not begin with the full stop after a formula
_LONG = 30  # characters, which fit on a line of a phone


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, which `html_math_renderer` selects."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _visit_inline(translator: HTML5Translator, node: nodes.math) -> None:
    formula = _mathml(node, as_block=False)
    if len(re.sub(r"<.*?>|\s", "", formula)) > _LONG:  # a line may end before each sign of equality
        formula = formula.replace(_EQUALS, f"\n</math>{_START}{_EQUALS}")
    translator.body.append(formula + _WORD_JOINER)
    raise nodes.SkipNode


def _visit_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula" tabindex="0">{_mathml(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def _mathml(node: nodes.Element, as_block: bool) -> str:
    tex = node.astext().replace(r"\dots", r"\ldots")
    try:
        formula = str(tex2mathml(tex, as_block=as_block))
    except MathError as error:
        problem = "expected a formula in the part of TeX that docutils translates to MathML, got %r: %s"
        _LOGGER.warning(f"{problem}; write it in another way", tex, error, location=node)
        return html.escape(tex)
    for pattern, replacement in _SPACING:
        formula = pattern.sub(replacement, formula)
    return formula
