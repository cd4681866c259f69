"""A dead letter in a terminal: what it asked for, why it died, and what to do, without any JSON dump."""

from __future__ import annotations

from datetime import UTC, datetime

from dramatiq import Message

from brokers.states import DeadLetter
from cli.letters import describe_letter

DIED_AT_S = datetime(2026, 11, 23, 2, 0, tzinfo=UTC).timestamp()
ATTEMPTS = [
    {"at": DIED_AT_S - 90, "host": "w1", "duration_s": 1.25, "error": "TransientError", "text": "503"},
    {"at": DIED_AT_S, "host": "w2", "duration_s": 0.5, "error": "TransientError", "text": "again \x1b[2J503"},
]


def letter(message: Message[None] | None) -> DeadLetter:
    return DeadLetter(
        queue="syncs",
        message_id="m1",
        died_at_s=DIED_AT_S,
        reason={"kind": "failed", "error": "gave up", "attempts": ATTEMPTS, "traceback": "File x\nKaboom"},
        header=None,
        message=message,
        body=b"\xff{not json",
    )


def test_a_letter_tells_its_story() -> None:
    message: Message[None] = Message(
        queue_name="syncs",
        actor_name="sync_club",
        args=(),
        kwargs={"account_id": 3, "run_id": "r9"},
        options={},
    )
    assert list(describe_letter(letter(message))) == [
        "message   m1",
        "queue     syncs",
        "died      2026-11-23 02:00:00 UTC",
        "actor     sync_club",
        'asks for  {"account_id": 3, "run_id": "r9"}',
        "reason    gave up",
        "attempt 1 2026-11-23 01:58:30 UTC  on w1  after 1.2 s  TransientError: 503",
        "attempt 2 2026-11-23 02:00:00 UTC  on w2  after 0.5 s  TransientError: again  [2J503",
        "\nThe trace of the last attempt:",
        "  File x",
        "  Kaboom",
        "\nsend it again: clubsync dead retry m1",
        "its run:       clubsync runs show r9",
    ]


def test_one_that_cannot_be_decoded_shows_its_body() -> None:
    lines = list(describe_letter(letter(None)))
    assert "body      \ufffd{not json" in lines
    assert not any(line.startswith(("actor", "its run")) for line in lines)
