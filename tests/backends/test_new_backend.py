"""The page on writing a backend: its code is a backend, and it explains every failure."""

import re

import pytest

from backends.conformance import checks
from tests.support.helpers import ROOT

PAGE = (ROOT / "docs" / "new-backend.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def backend_of_the_page():
    names: dict[str, object] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[0], names)
    return names["StrictBackend"]()  # type: ignore[operator]


@pytest.mark.parametrize("check", checks(), ids=str)
def test_the_backend_of_the_page_keeps_the_contract(backend_of_the_page, check):
    check(backend_of_the_page)


@pytest.mark.parametrize("section", list(dict.fromkeys(check.section for check in checks())))
def test_each_kind_of_failure_has_its_heading(section):
    assert f"\n### {section}\n" in PAGE


@pytest.mark.parametrize("path", re.findall(r"`((?:backends|multinn)/[\w/]+\.py)`", PAGE))
def test_the_files_that_it_names_are_there(path):
    assert (ROOT / path).is_file()
