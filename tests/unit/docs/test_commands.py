"""Every command that a page or the Procfile names is one that the command line has."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from cli.__main__ import clubsync
from tests.unit.docs.pages import ROOT, commands, page, pages

OPTION = re.compile(r"--[a-z][a-z-]*")
# A subcommand, or several of them: `queues|dead|config`.
NAMES = re.compile(r"[a-z]+(\|[a-z]+)*")
PROCFILE_LINE = re.compile(r"^(\w+): exec clubsync (\w+)$")
EVERYWHERE = {"--help", "--version"}
# Its own command line begins where ours ends.
PASSED_ON = "simulator"


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists(path: Path) -> None:
    assert [" ".join(words) for words in commands(path.read_text()) if unknown_word(words)] == []


@pytest.mark.parametrize("name", ["README.md", "docs/runbook.md", "docs/deploy.md", "CHANGELOG.md"])
def test_commands_are_found_in_the_pages_for_operators(name: str) -> None:
    assert len(list(commands(page(name)))) > 2


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("clubsync runs list --json", None),
        ("clubsync runs lisst", "lisst"),
        ("clubsync sync club 3 --waits", "--waits"),
        ("clubsync config set logging.level=debug", None),
        ("clubsync queues|dead|config", None),
        ("clubsync queues|deat", "deat"),
    ],
)
def test_mistakes_are_found(text: str, unknown: str | None) -> None:
    assert unknown_word(text.split()) == unknown


def test_every_line_of_the_procfile_is_a_command() -> None:
    lines = [PROCFILE_LINE.match(line) for line in page("Procfile").splitlines()]
    processes = {line[1]: line[2] for line in lines if line}
    assert len(processes) == len(lines)
    assert list(processes) == ["release", "web", "worker", "scheduler"]
    assert [name for name in processes.values() if unknown_word(["clubsync", name])] == []


def test_every_command_is_told_to_operators() -> None:
    told = page("CHANGELOG.md")
    names = clubsync.list_commands(click.Context(clubsync))
    assert [name for name in names if f"`clubsync {name}" not in told] == []


def unknown_word(words: list[str]) -> str | None:
    """The first word that the command line does not know, or None."""
    command: click.Command = clubsync
    for word in words[1:]:
        if not isinstance(command, click.Group) or not NAMES.fullmatch(word):
            break
        if word == PASSED_ON:
            return None
        found = {name: command.get_command(click.Context(command), name) for name in word.split("|")}
        for name, subcommand in found.items():
            if subcommand is None:
                return name
            command = subcommand
    known = {option for parameter in command.params for option in parameter.opts} | EVERYWHERE
    return next((word for word in words if OPTION.fullmatch(word) and word not in known), None)
