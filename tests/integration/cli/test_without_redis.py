"""Commands that look at Redis while it does not answer."""

from __future__ import annotations

import importlib
import socket
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sync.errors import StoreUnavailable


@pytest.mark.parametrize(
    "words",
    [
        "queues",
        "queues pause syncs",
        "queues resume syncs",
        "queues purge syncs --yes",
        "dead list",
        "dead show some-id",
        "dead retry --all",
        "dead delete some-id",
        "workers",
        "workers quiet some-process",
        "workers stop some-process",
    ],
)
def test_command_says_in_one_sentence_that_redis_does_not_answer(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUBSYNC_HOME", str(tmp_path))
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens, and nobody else can
        monkeypatch.setenv("REDIS_URL", f"redis://:secret@127.0.0.1:{held.getsockname()[1]}/0")
        name, *arguments = words.split()
        command = getattr(importlib.import_module(f"cli.{name}"), name)
        assert isinstance(command, click.Command)
        result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, StoreUnavailable)
    assert str(result.exception).startswith("Redis did not answer: ")
    assert "secret" not in str(result.exception)
