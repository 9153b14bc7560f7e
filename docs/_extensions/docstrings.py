"""Docstrings of the project as reStructuredText.

Our docstrings are plain text: formulas are indented lines, and names such as ``coefs_`` or ``|x|`` mean
themselves. Before Sphinx' extension napoleon reads the sections of a docstring, this extension turns
formulas into blocks of text, begins a paragraph at ``Shapes:`` and ``Source:``, and escapes what
reStructuredText would take for markup. The sections of numpydoc, which scikit-learn reads for its
tooltips, become ours first.
"""

import re
from collections.abc import Callable
from typing import Any

from sphinx.application import Sphinx
from sphinx.domains.python import PyObject

_SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):$")
_NUMPYDOC = {"Parameters": "Args:", "Attributes": "Attributes:"}  # others are plain text
_LABEL = re.compile(r"(Shapes|Source):(?= )")
_ENTRY = re.compile(r"( {4}[\w*`., ]+: )(.*)$")  # the name of an argument, which napoleon escapes itself
_ROLE = re.compile(r"(``.+?``|`[^`]+`|(?<![\w*])\*\w+\*(?![\w*]))")  # code and *emphasis*
_MARKUP = re.compile(r"[\\*|]|(?<=\w)_(?!\w)")


def setup(app: Sphinx) -> dict[str, bool]:
    """Translate each docstring before napoleon does, whose priority is 500; name attributes as we do."""
    for kind in PyObject.doc_field_types:
        if kind.name == "variable":
            kind.label = "Attributes"
    app.connect("autodoc-process-docstring", _process, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = to_rest(lines)


def to_rest(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText, with sections for napoleon."""
    result: list[str] = []
    block = "text"
    for line in _our_sections(lines):
        before, block = block, _block_of(line, block)
        if block == "formula" != before:
            result += ["", ".. code-block:: text", "   :class: derivation", ""]
        elif block != before or (block == "text" and _LABEL.match(line)):
            result.append("")
        result.append(_WRITERS[block](line))
    return result


def _our_sections(lines: list[str]) -> list[str]:
    """Return the lines with each section of numpydoc as one of ours: ``name: type. Meaning``."""
    result: list[str] = []
    in_section = False
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if re.fullmatch("-{4,}", below):
            in_section = line in _NUMPYDOC
            result += [_NUMPYDOC[line]] if in_section else []
        elif in_section and (entry := re.fullmatch(r"(\w+) : (.+)", line)):
            result.append(f"    {entry[1]}: {entry[2]}.")
        elif not re.fullmatch("-{4,}", line):
            result.append(f"    {line}" if in_section and line else line)
    return result


def _block_of(line: str, block: str) -> str:
    """Return the kind of block that a line belongs to, if the line before belongs to the given one."""
    if _SECTION.match(line):
        return "section"
    if line.startswith(">>>"):
        return "doctest"
    if block == "doctest":
        return block if line else "text"
    if not line or (block == "section" and line.startswith(" ")):
        return block
    return "formula" if line.startswith("    ") else "text"


def _escaped(text: str) -> str:
    """Return the text with all but code and emphasis escaped."""
    parts = _ROLE.split(text)
    parts[::2] = [_MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
    return "".join(parts)


def _entry(line: str) -> str:
    """Return a line of a section with its description escaped."""
    name = _ENTRY.match(line)
    return name[1] + _escaped(name[2]) if name else _escaped(line)


def _text(line: str) -> str:
    return _LABEL.sub(r"**\1:**", _escaped(line))


_WRITERS: dict[str, Callable[[str], str]] = {
    "text": _text,
    "section": _entry,
    "formula": str,
    "doctest": str,
}
