"""Every command that a page or the Procfile names is one that the command line has."""

from __future__ import annotations

import re

import click
import pytest

from cli.__main__ import clubsync
from tests.unit.docs.pages import ROOT, commands, page, pages

OPTION = re.compile(r"--[a-z][a-z-]*")
PROCFILE_LINE = re.compile(r"^(\w+): exec clubsync (\w+)$")
# Its own command line starts where ours ends.
PASSED_ON = ("simulator",)


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists(path: object) -> None:
    assert isinstance(path, type(ROOT))
    named = list(commands(path.read_text()))
    assert [" ".join(words) for words in named if (mistake(words)) is not None] == []


def test_pages_for_operators_name_commands() -> None:
    for name in ("README.md", "docs/runbook.md", "docs/deploy.md", "CHANGELOG.md"):
        assert len(list(commands(page(name)))) > 2, name


@pytest.mark.parametrize(
    ("text", "is_known"),
    [
        ("clubsync runs list --json", True),
        ("clubsync runs lisst", False),
        ("clubsync sync club 3 --waits", False),
        ("clubsync config set logging.level=debug", True),
        ("clubsync queues|dead|config", True),
        ("clubsync queues|deat", False),
    ],
)
def test_mistakes_are_found(text: str, *, is_known: bool) -> None:
    assert (mistake(text.split()) is None) is is_known


def test_every_line_of_the_procfile_is_a_command() -> None:
    lines = page("Procfile").splitlines()
    found = [PROCFILE_LINE.match(line) for line in lines]
    assert all(found), lines
    assert [line[1] for line in found if line] == ["release", "web", "worker", "scheduler"]
    assert [line[2] for line in found if line and mistake(["clubsync", line[2]])] == []


def test_every_command_is_told_to_operators() -> None:
    with click.Context(clubsync) as context:
        names = clubsync.list_commands(context)
    told = page("CHANGELOG.md")
    assert [name for name in names if not re.search(rf"clubsync {name}\b|`{name}[` ]", told)] == []


def mistake(words: list[str]) -> str | None:
    """What the command line would not know, or None; `a|b` stands for either."""
    group, command = clubsync, None
    with click.Context(clubsync) as context:
        for word in words[1:]:
            if word.startswith("-") or not isinstance(group, click.Group):
                break
            names = [name for name in re.split(r"[|,]", word) if name]
            if not re.fullmatch(r"[a-z]+", names[0]):
                break
            if names[0] in PASSED_ON:
                return None
            for name in names:
                command = group.get_command(context, name)
                if command is None:
                    return name
            if len(names) > 1:
                return None
            assert command is not None
            group = command  # type: ignore[assignment]  # a command ends the walk above
    known = {option for parameter in (group.params) for option in parameter.opts}
    known |= {"--help", "--version"}
    return next((word for word in words if OPTION.fullmatch(word) and word not in known), None)
