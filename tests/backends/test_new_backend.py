"""The page on writing a backend: its code works, and it explains every failure."""

import inspect
import re

import pytest

from backends import Backend
from backends.conformance import checks
from tests.support.helpers import ROOT

PAGE = (ROOT / "docs" / "new-backend.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def names_of_the_page():
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(block, names)
    return names


@pytest.fixture(scope="module")
def backend_of_the_page(names_of_the_page):
    return names_of_the_page["StrictBackend"]()


def test_the_interface_on_the_page_is_that_of_the_code(names_of_the_page):
    def members(interface: type) -> dict[str, list[str] | None]:
        """Return the parameters of each public method, None for an attribute."""
        public = {*inspect.get_annotations(interface), *vars(interface)}
        return {
            name: list(inspect.signature(value).parameters) if inspect.isfunction(value) else None
            for name in public
            if not name.startswith("_")
            for value in [vars(interface).get(name)]
        }

    assert members(names_of_the_page["Backend"]) == members(Backend)


@pytest.mark.parametrize("check", checks(), ids=str)
def test_the_backend_of_the_page_keeps_the_contract(backend_of_the_page, check):
    check(backend_of_the_page)


@pytest.mark.parametrize("section", list(dict.fromkeys(check.section for check in checks())))
def test_each_kind_of_failure_has_its_heading(section):
    assert f"\n### {section}\n" in PAGE


@pytest.mark.parametrize("path", re.findall(r"`((?:backends|multinn)/[\w/]+\.py)`", PAGE))
def test_the_files_that_it_names_exist(path):
    assert (ROOT / path).is_file()
