"""Links lead somewhere, variables are settings, and nothing tells where this was made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from settings import schema_tree
from settings.layers import CONFIG_VARIABLE, PLATFORM_VARIABLES, PREFIX
from tests.unit.docs.pages import ROOT, links, pages, tracked

VARIABLE = re.compile(r"\bCLUBSYNC_[A-Z0-9_]+\b")
PLATFORMS = ("REDIS_URL", "DATABASE_URL", "PORT")
# Read by the tests' own set-up.
OF_TESTS = ("TEST_REQUIRE", "TEST_SCREENSHOTS")
# Folders of single machines; the brackets keep this file from naming them itself.
WORKPLACE = re.compile(rb"(?<![\w.])/(?:wor[k]|tmp/tea[m])/")


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    targets = [target.partition("#")[0] for target in links(path.read_text())]
    assert [target for target in targets if target and not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_variable_that_a_page_names_is_a_setting(path: Path) -> None:
    named = {name for name in VARIABLE.findall(path.read_text()) if not name.endswith("_")}
    assert sorted(name for name in named if not is_known(name)) == []


def test_variables_of_platforms_are_settings() -> None:
    assert set(PLATFORMS) <= set(PLATFORM_VARIABLES)


def test_no_file_tells_where_it_was_made() -> None:
    telling = [path.relative_to(ROOT) for path in tracked() if WORKPLACE.search(path.read_bytes())]
    assert telling == []


def is_known(variable: str) -> bool:
    if variable in PLATFORM_VARIABLES or variable == CONFIG_VARIABLE or variable in OF_TESTS:
        return True
    key = variable.removeprefix(PREFIX).lower().replace("__", ".")
    return schema_tree.find(key) is not None or bool(schema_tree.children(key))
