"""The README's map shows every folder, and nothing that is not there."""

from __future__ import annotations

import re
import tomllib

from tests.unit.docs.pages import ROOT, page, tracked

MAPPED = re.compile(r"^\| \[`[^|]*\|", re.MULTILINE)


def mapped() -> set[str]:
    rows = "\n".join(MAPPED.findall(page("README.md")))
    return {target.rstrip("/") for target in re.findall(r"\]\(([^)]+)\)", rows)}


def test_every_place_on_the_map_exists() -> None:
    assert mapped()
    assert [place for place in mapped() if not (ROOT / place).exists()] == []


def test_every_folder_is_on_the_map() -> None:
    folders = {path.relative_to(ROOT).parts[0] for path in tracked() if path.parent != ROOT}
    assert {name for name in folders if not name.startswith(".")} - mapped() == set()


def test_every_package_is_shipped_typed_and_under_the_import_contract() -> None:
    project = tomllib.loads(page("pyproject.toml"))["tool"]
    shipped = set(project["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert shipped == set(project["importlinter"]["root_packages"])
    assert shipped <= set(project["mypy"]["packages"])
    assert {name for name in shipped if not (ROOT / name / "__init__.py").exists()} == set()
