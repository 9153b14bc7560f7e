"""Tables and paragraphs for notebooks."""

from multinn.descriptions.html import Cell, facts, paragraph, table
from tests.support.markup import parse, rows, texts

HOSTILE = "<script>alert('&amp;')</script> \" onload="


def test_a_table_has_a_header_and_rows():
    html = table(("name", "size"), [(Cell("a"), Cell("1", is_number=True)), (Cell("b"), Cell("2"))])
    assert rows(html) == [["name", "size"], ["a", "1"], ["b", "2"]]
    assert [cell.get("scope") for cell in parse(html).iter("th")] == ["col", "col"]


def test_all_texts_are_escaped():
    cells = [(Cell(HOSTILE), Cell(HOSTILE, is_code=True))]
    assert rows(table((HOSTILE, HOSTILE), cells)) == [[HOSTILE, HOSTILE]] * 2
    assert rows(facts({HOSTILE: HOSTILE})) == [[HOSTILE, HOSTILE]]
    assert texts(parse(paragraph(HOSTILE)), "p") == [HOSTILE]


def test_notes_are_below_the_table():
    html = table(("name",), [(Cell("a"),)], ["first", HOSTILE])
    assert texts(parse(html), "p") == ["first", HOSTILE]


def test_facts_have_their_names_as_headers_of_rows():
    html = facts({"loss": "Hinge", "backend": "numpy"})
    assert rows(html) == [["loss", "Hinge"], ["backend", "numpy"]]
    assert [cell.get("scope") for cell in parse(html).iter("th")] == ["row", "row"]
