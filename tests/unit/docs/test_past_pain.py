"""docs/past-pain.md names a test that exists for each thing that hurt in the service before this one."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.unit.docs.pages import ROOT

# As many as the service before this one is known for.
PAINS = 26
ROW = re.compile(r"^\| (\d+) \|.*\|(.*)\|$", re.MULTILINE)
TEST = re.compile(r"`(\w[\w/]*\.py)::(test_\w+)`")


def table() -> dict[int, list[tuple[str, str]]]:
    """The tests that each row names, by its number."""
    page = (ROOT / "docs" / "past-pain.md").read_text()
    return {int(number): TEST.findall(tests) for number, tests in ROW.findall(page)}


@cache
def functions_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_pain_has_its_row() -> None:
    assert sorted(table()) == list(range(1, PAINS + 1))


@pytest.mark.parametrize("number", range(1, PAINS + 1))
def test_what_hurt_has_a_test_that_it_cannot_come_back(number: int) -> None:
    named = table()[number]
    assert named
    assert [f"{path}::{name}" for path, name in named if name not in functions_in(path)] == []
