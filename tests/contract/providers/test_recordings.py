"""Recordings: what a run was answered answers it again, without a provider, a secret or a person."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from providers.outbound import Outbound
from providers.recording import (
    RecordedOutbound,
    Recording,
    ReplayedOutbound,
    find_recordings,
    recording_path,
)
from sync.errors import NotFound, ProviderUnavailable, UnexpectedResponse
from tests.contract.providers.benches import SECRET, Bench, PlayCricketBench, PlayHQBench, Question
from tests.contract.providers.test_sources import BENCHES, cases
from tests.provider_server import ProviderServer, Reply
from tests.unit.providers.playcricket.builders import match

RUN_ID = "run-1"


def record(bench: Bench, question: Question, server: ProviderServer, outbound: Outbound, home: Path) -> Any:
    """Ask anew, and keep what comes."""
    recorded = RecordedOutbound(outbound, Recording(recording_path(home, RUN_ID)))
    fresh_after = datetime.now(UTC) + timedelta(days=1)
    return question.call(bench.open(server, recorded, fresh_after=fresh_after))


def replay(bench: Bench, question: Question, server: ProviderServer, home: Path) -> Any:
    replayed = ReplayedOutbound(find_recordings(home, RUN_ID))
    return question.call(bench.open(server, replayed, fresh_after=datetime.now(UTC)))


@cases(BENCHES)
def test_recorded_run_is_answered_the_same_without_its_provider(
    bench: Bench, question: Question, server: ProviderServer, outbound: Outbound, tmp_path: Path
) -> None:
    bench.serve(server)
    result = record(bench, question, server, outbound, tmp_path)
    asked = len(server.seen)
    assert replay(bench, question, server, tmp_path) == result
    assert len(server.seen) == asked


def test_answers_that_were_stored_already_are_recorded_too(
    server: ProviderServer, outbound: Outbound, tmp_path: Path
) -> None:
    bench, question = PlayHQBench(), PlayHQBench.questions["teams"]
    bench.serve(server)
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    question.call(bench.open(server, outbound, fresh_after=long_ago))
    recorded = RecordedOutbound(outbound, Recording(recording_path(tmp_path, RUN_ID)))
    result = question.call(bench.open(server, recorded, fresh_after=long_ago))
    assert replay(bench, question, server, tmp_path) == result


@pytest.mark.parametrize(
    ("reply", "error"), [(Reply(b"", 404), NotFound), (Reply({"rows": 1}), UnexpectedResponse)]
)
def test_recorded_failure_fails_the_same(
    server: ProviderServer,
    outbound: Outbound,
    tmp_path: Path,
    reply: Reply,
    error: type[Exception],
) -> None:
    bench, question = PlayHQBench(), PlayHQBench.questions["ladders"]
    server.script(question.target, reply)
    with pytest.raises(error):
        record(bench, question, server, outbound, tmp_path)
    with pytest.raises(error):
        replay(bench, question, server, tmp_path)


def test_question_that_was_never_asked_has_no_answer(server: ProviderServer, tmp_path: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="the recording holds no answer"):
        replay(PlayHQBench(), PlayHQBench.questions["teams"], server, tmp_path)


def test_recording_holds_no_secret_and_no_person(
    server: ProviderServer, outbound: Outbound, tmp_path: Path
) -> None:
    bench = PlayCricketBench()
    bench.serve(server)
    question = bench.questions["seasons of a club"]
    people = match(umpire_1_name="Pat Example", team_captain="Sam Example")
    server.script(question.target, Reply({"has_next_page": False, "data": [people]}))
    record(bench, question, server, outbound, tmp_path)
    (path,) = find_recordings(tmp_path, RUN_ID)
    held = gzip.decompress(path.read_bytes()).decode()
    assert "Weald League" in held
    assert SECRET not in held
    assert "Example" not in held
