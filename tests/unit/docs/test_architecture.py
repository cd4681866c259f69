"""What docs/architecture.md says of messages, queues, stages and states is what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from brokers.messages import MESSAGES
from brokers.queues import Priority, Queue
from sync.report import RunState, Stage
from tests.unit.docs.pages import ROOT, page

ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (\w+)", re.MULTILINE)
NAMED_FILE = re.compile(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|lua|toml|md))`")


@pytest.fixture
def text() -> str:
    return page("docs/architecture.md")


def test_every_message_stands_there_with_its_queue_and_priority(text: str) -> None:
    told = {actor: (queue, priority) for actor, queue, priority in ROW.findall(text) if actor in MESSAGES}
    assert told == {
        name: (message.queue_name.value, message.priority.value) for name, message in MESSAGES.items()
    }


@pytest.mark.parametrize("actor", MESSAGES)
def test_every_message_has_an_actor_in_a_file_of_its_own(actor: str) -> None:
    source = (ROOT / "actors" / f"{actor}.py").read_text()
    assert f"def {actor}(" in source
    assert actor in (ROOT / "actors" / "catalogue.py").read_text()


@pytest.mark.parametrize("name", [*Queue, *Priority, *Stage, *RunState])
def test_queues_priorities_stages_and_states_are_told(text: str, name: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)


@pytest.mark.parametrize("source", ["docs/architecture.md", "CONTRIBUTING.md", "docs/deploy.md"])
def test_every_file_that_is_named_exists(source: str) -> None:
    named = {name for name in NAMED_FILE.findall(page(source)) if "<" not in name}
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_every_function_of_the_story_is_in_its_file(text: str) -> None:
    named = re.findall(r"`\**([a-z_/]+\.py)\**`\**, `(?:[A-Z]\w+\.)?(\w+)`", text)
    assert len(named) >= 4
    assert [(file, name) for file, name in named if not _has(ROOT / file, name)] == []


def _has(path: Path, name: str) -> bool:
    return re.search(rf"^\s*(?:async )?def {name}\(", path.read_text(), re.MULTILINE) is not None
