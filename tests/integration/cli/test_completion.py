"""Tab completes commands, subcommands and options, as the README tells to switch it on; fast, as help."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CLUBSYNC = str(Path(sys.executable).with_name("clubsync"))
# Each takes a tenth of a second and more to import.
HEAVY = ("alembic", "dramatiq", "dynaconf", "fastapi", "httpx", "pydantic", "redis", "sqlalchemy")
README = (Path(__file__).parents[3] / "README.md").read_text()


def ask(**variables: str) -> str:
    done = subprocess.run(
        [CLUBSYNC], env={**os.environ, **variables}, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("clubsync que", "plain,queues"),
        ("clubsync queues pa", "plain,pause"),
        ("clubsync sync --pri", "--pri"),
    ],
)
def test_what_was_begun_is_completed(words: str, offered: str) -> None:
    number = str(len(words.split()) - 1)
    answer = ask(_CLUBSYNC_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=number)
    assert offered in answer


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_is_told_how(shell: str) -> None:
    assert "_clubsync_completion" in ask(_CLUBSYNC_COMPLETE=f"{shell}_source")


def test_the_readme_says_how_to_switch_it_on() -> None:
    assert 'eval "$(_CLUBSYNC_COMPLETE=bash_source clubsync)"' in README


def test_what_only_shows_commands_imports_none_of_their_libraries() -> None:
    script = "\n".join(
        (
            "import sys",
            "from click.testing import CliRunner",
            "from cli.__main__ import clubsync",
            "for words in ('', 'runs list', 'sync', 'accounts', 'up'):",
            "    assert CliRunner().invoke(clubsync, [*words.split(), '--help']).exit_code == 0",
            f"print(*sorted({set(HEAVY)!r} & set(sys.modules)))",
        )
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split() == []
