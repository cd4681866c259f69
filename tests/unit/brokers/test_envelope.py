"""What Redis keeps of a message."""

from __future__ import annotations

from typing import Any

import pytest
from dramatiq import Message
from hypothesis import given
from hypothesis import strategies as st

from brokers import envelope
from brokers.queues import Priority


def message(**options: Any) -> Message[Any]:
    return Message("default", "note", (), {"run_id": "run 1"}, options, "id-1", 1_700_000_000_000)


@given(key=st.text(min_size=1), fair=st.none() | st.text(min_size=1), body=st.binary())
def test_any_key_survives_the_header(key: str, fair: str | None, body: bytes) -> None:
    value = envelope.pack(message(unique_key=key, fair_key=fair), level=1, bias=-3, due_ms=5, body=body)
    assert value.partition(b"\n")[0].count(b" ") == 8
    header, found = envelope.unpack(value)
    assert (header.unique, header.fair, found) == (key, fair, body)
    assert (header.priority, header.deaths, header.due_ms) == (Priority.HIGH, 0, 5)
    assert header.sent_ms == 1_700_000_000_000


def test_a_plain_message_has_no_keys() -> None:
    header, _ = envelope.unpack(envelope.pack(message(), level=2, bias=0, due_ms=0, body=b""))
    assert (header.unique, header.fair) == (None, None)


@pytest.mark.parametrize(
    ("priority", "level"), [("urgent", 0), ("high", 1), ("normal", 2), ("low", 3), (0, 0), (Priority.LOW, 3)]
)
def test_priorities_are_names_or_levels(priority: object, level: int) -> None:
    assert envelope.level_of(priority) == level


@pytest.mark.parametrize("priority", ["asap", 4, None, []])
def test_other_priorities_are_refused(priority: object) -> None:
    with pytest.raises(ValueError, match="broker_priority"):
        envelope.level_of(priority)
