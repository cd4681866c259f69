"""No list takes a limit that it could not show: it is refused before anything is opened."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from cli.__main__ import clubsync


def limited(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command, by its words, that takes `--limit`."""
    if any("--limit" in parameter.opts for parameter in command.params):
        yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            subcommand = command.get_command(context, name)
            assert subcommand is not None
            yield from limited(subcommand, (*words, name))


@pytest.mark.parametrize("limit", ["-1", "0", "99999999999999999999"])
def test_limit_out_of_range_is_wrong_use(limit: str) -> None:
    commands = list(limited(clubsync))
    assert ("runs", "list") in commands
    for words in commands:
        done = CliRunner().invoke(clubsync, [*words, "--limit", limit])
        assert done.exit_code == 2, words
        assert "'--limit'" in done.output, words
