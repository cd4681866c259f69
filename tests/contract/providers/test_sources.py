"""What every provider adapter does with a healthy provider and with a sick one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from providers.outbound import Outbound
from sync.errors import CredentialsRejected, NotFound, ProviderUnavailable, RateLimited, UnexpectedResponse
from sync.ports import Fixture
from tests.contract.providers.benches import (
    SECRET,
    Bench,
    PlayCricketBench,
    PlayHQBench,
    PlayHQOldBench,
    Question,
)
from tests.provider_server import ProviderServer, Reply

BENCHES: list[Bench] = [PlayHQBench(), PlayHQOldBench(), PlayCricketBench()]
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def cases(benches: Iterable[Bench]) -> pytest.MarkDecorator:
    """Every question to each of the providers."""
    values = [
        pytest.param(bench, question, id=f"{type(bench).__name__}-{name}")
        for bench in benches
        for name, question in bench.questions.items()
    ]
    return pytest.mark.parametrize(("bench", "question"), values)


anything = cases(BENCHES)


def ask(bench: Bench, question: Question, server: ProviderServer, outbound: Outbound) -> Any:
    """Ask anew: nothing stored is fresh enough."""
    fresh_after = datetime.now(UTC) + timedelta(days=1)
    return question.call(bench.open(server, outbound, fresh_after=fresh_after))


def before_good(bench: Bench, question: Question, server: ProviderServer, *faults: Reply) -> None:
    """A healthy world in which this question first meets faults."""
    bench.serve(server)
    good = server.last_reply(question.target)
    server.script(question.target, *faults, good)


@anything
def test_healthy_provider_is_read_without_loss(
    bench: Bench, question: Question, server: ProviderServer, outbound: Outbound
) -> None:
    bench.serve(server)
    result = ask(bench, question, server, outbound)
    assert not result.quarantined
    assert result.games if isinstance(result, Fixture) else result.records


@anything
@pytest.mark.parametrize(
    "fault",
    [
        Reply({"error": "oops"}, 500),
        Reply(b"<html>bad gateway</html>", 502),
        Reply(fault="reset"),
        Reply({"data": [1, 2, 3]}, fault="cut"),
        Reply(b'{"data": ['),
        Reply(b"<html>log in</html>", headers={"Content-Type": "text/html"}),
        Reply([]),
        Reply({}),
    ],
    ids=["500", "502", "reset", "half an answer", "bad json", "html", "list", "empty object"],
)
def test_answer_that_fails_twice_then_succeeds_changes_nothing(
    bench: Bench, question: Question, server: ProviderServer, outbound: Outbound, fault: Reply
) -> None:
    bench.serve(server)
    undisturbed = ask(bench, question, server, outbound)
    before_good(bench, question, server, fault, fault)
    assert ask(bench, question, server, outbound) == undisturbed


@cases(bench for bench in BENCHES if bench.waits_out_short_throttling)
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_short_throttling_changes_nothing(
    bench: Bench, question: Question, server: ProviderServer, outbound: Outbound, form: str
) -> None:
    at = format_datetime(datetime.now(UTC), usegmt=True)
    throttled = Reply(b"", 429, {"Retry-After": "0" if form == "seconds" else at})
    bench.serve(server)
    undisturbed = ask(bench, question, server, outbound)
    before_good(bench, question, server, throttled)
    assert ask(bench, question, server, outbound) == undisturbed


@anything
def test_long_throttling_is_a_deferral(
    bench: Bench, question: Question, server: ProviderServer, outbound: Outbound
) -> None:
    before_good(bench, question, server, Reply(b"", 429, {"Retry-After": "300"}))
    with pytest.raises(RateLimited) as limited:
        ask(bench, question, server, outbound)
    assert limited.value.retry_after_s == 300


@anything
def test_burst_block_is_a_deferral_of_minutes(
    bench: Bench, question: Question, server: ProviderServer, outbound: Outbound
) -> None:
    before_good(bench, question, server, Reply(b"<html>blocked</html>", 403, {"Content-Type": "text/html"}))
    with pytest.raises(RateLimited) as limited:
        ask(bench, question, server, outbound)
    assert limited.value.retry_after_s >= 120


@anything
@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_is_told_as_such(
    bench: Bench, question: Question, server: ProviderServer, outbound: Outbound, status: int
) -> None:
    before_good(bench, question, server, Reply({"error": "Forbidden"}, status))
    with pytest.raises(CredentialsRejected):
        ask(bench, question, server, outbound)


@anything
def test_missing_record_is_told_as_such(
    bench: Bench, question: Question, server: ProviderServer, outbound: Outbound
) -> None:
    bench.serve(server)
    server.script(question.target, Reply({"error": "not found"}, 404))
    with pytest.raises(NotFound):
        ask(bench, question, server, outbound)


@anything
def test_lasting_fault_is_unavailability(
    bench: Bench, question: Question, server: ProviderServer, outbound: Outbound
) -> None:
    bench.serve(server)
    server.script(question.target, Reply(b"", 503))
    with pytest.raises(ProviderUnavailable):
        ask(bench, question, server, outbound)


@anything
@pytest.mark.parametrize("junk", [Reply(b"{"), Reply({"rows": []}), Reply({"error": "sorry"})])
def test_lasting_junk_is_told_as_such(
    bench: Bench, question: Question, server: ProviderServer, outbound: Outbound, junk: Reply
) -> None:
    bench.serve(server)
    server.script(question.target, junk)
    with pytest.raises(UnexpectedResponse):
        ask(bench, question, server, outbound)


@anything
def test_error_beside_what_was_asked_for_is_no_answer(
    bench: Bench, question: Question, server: ProviderServer, outbound: Outbound
) -> None:
    bench.serve(server)
    good = server.last_reply(question.target)
    assert isinstance(good, Reply)
    server.script(question.target, Reply({**good.body, "error": "try later"}))
    with pytest.raises(UnexpectedResponse, match="an error came with success"):
        ask(bench, question, server, outbound)


@anything
def test_second_account_of_the_night_costs_nothing(
    bench: Bench, question: Question, server: ProviderServer, outbound: Outbound
) -> None:
    bench.serve(server)
    first = question.call(bench.open(server, outbound, fresh_after=LONG_AGO))
    arrived = len(server.seen)
    second = bench.open(server, outbound, fresh_after=LONG_AGO)
    assert question.call(second) == first
    assert len(server.seen) == arrived
    assert second.requests.sent == 0
    assert second.requests.cache_hits > 0


@anything
def test_what_a_run_costs_is_what_arrived(
    bench: Bench, question: Question, server: ProviderServer, outbound: Outbound
) -> None:
    before_good(bench, question, server, Reply(b"", 500))
    source = bench.open(server, outbound, fresh_after=LONG_AGO)
    question.call(source)
    assert source.requests.sent == len(server.seen)
    assert source.requests.retried == 1


@anything
@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_our_secret_is_never_told(
    bench: Bench,
    question: Question,
    server: ProviderServer,
    outbound: Outbound,
    *,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    bench.serve(server)
    server.script(
        question.target, Reply({"error": f"{SECRET} is not welcome"}, status, {"Retry-After": "100"})
    )
    with pytest.raises(Exception) as refused:  # noqa: PT011 - whatever it is, it must not tell
        ask(bench, question, server, outbound)
    assert any(SECRET in str(seen) for seen in server.seen)
    error: BaseException | None = refused.value
    while error is not None:
        assert SECRET not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__
    assert SECRET not in caplog.text
