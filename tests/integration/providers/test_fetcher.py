"""The way out over real HTTP and Redis: retries, refusals, throttling, stored answers."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import redis

from providers.fetcher import Fetcher
from settings.schema import HttpSettings
from stores.redis.answers import RedisAnswers
from sync.errors import (
    CredentialsRejected,
    NotFound,
    ProviderUnavailable,
    RateLimited,
    SyncError,
    UnexpectedResponse,
)
from sync.report import RequestCounts
from tests.integration.providers.conftest import KEY, LONG_AGO, QUICK, OpenFetcher, upstream
from tests.provider_server import ProviderServer, Reply, Seen

PATH = "/v1/things"
GOOD = Reply({"a": 1})
HTML = Reply(b"<html><body>Please log in</body></html>", headers={"Content-Type": "text/html"})
NO_PATIENCE = QUICK.model_copy(update={"max_throttle_wait_s": 0.0})
BLOCK = Reply(b"<html>Request blocked</html>", 403, headers={"Content-Type": "text/html"})


def fetch(fetcher: Fetcher, path: str = PATH) -> Any:
    return fetcher.fetch(path, dict, operation="fetch things of grade 7")


def test_answer_is_decoded_and_counted(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, GOOD)
    fetcher = open_fetcher()
    assert fetch(fetcher) == {"a": 1}
    assert fetcher.requests == RequestCounts(sent=1)
    assert server.seen[0].headers["x-api-key"] == KEY
    assert server.seen[0].headers["accept"] == "application/json"


@pytest.mark.parametrize(
    "fault",
    [
        Reply({"error": "oops"}, 500),
        Reply(b"bad gateway", 502),
        Reply(b"", 503),
        Reply(b"", 504),
        Reply(fault="reset"),
        Reply({"a": 1}, fault="cut"),
        HTML,
        Reply(b'{"a": '),
        Reply([1, 2]),
        Reply(b"", 204),
    ],
    ids=["500", "502", "503", "504", "reset", "half an answer", "html", "half json", "other type", "nothing"],
)
def test_fault_that_passes_costs_retries_only(
    server: ProviderServer, open_fetcher: OpenFetcher, fault: Reply
) -> None:
    server.script(PATH, fault, fault, GOOD)
    fetcher = open_fetcher()
    assert fetch(fetcher) == {"a": 1}
    assert fetcher.requests == RequestCounts(sent=3, retried=2)


def test_slow_answer_is_given_up_and_asked_again(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, Reply(fault="hang"), GOOD)
    fetcher = open_fetcher(settings=HttpSettings(read_timeout_s=0.3, retry_base_s=0.001))
    assert fetch(fetcher) == {"a": 1}
    assert fetcher.requests.retried >= 1


def test_lasting_failure_is_unavailability_and_names_the_record(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    server.script(PATH, Reply(b"", 500))
    with pytest.raises(ProviderUnavailable, match=r"fetch things of grade 7.*500"):
        fetch(open_fetcher())
    assert len(server.seen) == QUICK.attempts


def test_provider_that_is_not_there_is_unavailable(open_fetcher: OpenFetcher) -> None:
    with pytest.raises(ProviderUnavailable, match="fetch things of grade 7"):
        fetch(open_fetcher(base_url="http://127.0.0.1:1"))


def test_page_instead_of_data_is_refused_after_all_attempts(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    server.script(PATH, HTML)
    with pytest.raises(UnexpectedResponse, match="breaks its contract"):
        fetch(open_fetcher())
    assert len(server.seen) == QUICK.attempts


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_is_told_at_once_with_the_providers_words(
    server: ProviderServer, open_fetcher: OpenFetcher, status: int
) -> None:
    server.script(PATH, Reply({"status": "error", "error": "Invalid key"}, status))
    with pytest.raises(CredentialsRejected, match=f"{status}.*Invalid key"):
        fetch(open_fetcher())
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [404, 410])
def test_missing_record_is_told_at_once(
    server: ProviderServer, open_fetcher: OpenFetcher, status: int
) -> None:
    server.script(PATH, Reply({"error": "gone"}, status))
    with pytest.raises(NotFound):
        fetch(open_fetcher())
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [301, 302, 400, 405, 422])
def test_answer_that_no_repetition_helps_is_told_at_once(
    server: ProviderServer, open_fetcher: OpenFetcher, status: int
) -> None:
    server.script(PATH, Reply({"message": "no"}, status, {"Location": "/login"}))
    with pytest.raises(UnexpectedResponse, match=str(status)):
        fetch(open_fetcher())
    assert len(server.seen) == 1


def retry_after_forms() -> list[Any]:
    in_a_second = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    return [
        pytest.param({"Retry-After": "1"}, id="seconds"),
        pytest.param({"Retry-After": in_a_second}, id="date"),
        pytest.param({"Retry-After": "0"}, id="zero"),
        pytest.param({"Retry-After": "-5"}, id="negative"),
        pytest.param({"Retry-After": "soon"}, id="unreadable"),
        pytest.param({"Retry-After": "9" * 400}, id="endless"),
        pytest.param({"Retry-After": "Mon, 01 Jan 99999999999 00:00:00 GMT"}, id="beyond any calendar"),
        pytest.param({}, id="absent"),
    ]


@pytest.mark.parametrize("headers", retry_after_forms())
def test_short_throttling_is_waited_out(
    server: ProviderServer, open_fetcher: OpenFetcher, headers: dict[str, str]
) -> None:
    server.script(PATH, Reply({"error": "slow down"}, 429, headers), GOOD)
    fetcher = open_fetcher()
    assert fetch(fetcher) == {"a": 1}
    assert fetcher.requests == RequestCounts(sent=2, retried=1, throttled=1)


def test_retry_after_is_honoured_by_everybody_with_the_key(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    arrivals: list[float] = []

    def answer(seen: Seen) -> Reply:
        arrivals.append(time.monotonic())
        return Reply(b"", 429, {"Retry-After": "1"}) if seen.target == PATH else GOOD

    server.script(PATH, answer)
    server.script("/v1/others", answer)
    with pytest.raises(RateLimited):
        fetch(open_fetcher(settings=NO_PATIENCE))
    fetch(open_fetcher(), "/v1/others")
    throttled_at, asked_at = arrivals
    assert asked_at - throttled_at > 0.98


def test_long_throttling_is_deferred_by_what_the_provider_asked_for(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    server.script(PATH, Reply(b"", 429, {"Retry-After": "90"}))
    with pytest.raises(RateLimited) as limited:
        fetch(open_fetcher())
    assert limited.value.retry_after_s == 90
    with pytest.raises(RateLimited) as paused:
        fetch(open_fetcher(), "/v1/others")
    assert 80 < paused.value.retry_after_s <= 90
    assert len(server.seen) == 1


def test_endless_throttling_ends_as_deferral(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, Reply(b"", 429))
    with pytest.raises(RateLimited):
        fetch(open_fetcher(settings=HttpSettings(max_throttle_wait_s=0.2)))


def test_burst_block_is_throttling_with_a_long_cool_down(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    server.script(PATH, BLOCK)
    with pytest.raises(RateLimited) as limited:
        fetch(open_fetcher())
    assert limited.value.retry_after_s >= 120
    with pytest.raises(RateLimited):
        fetch(open_fetcher(), "/v1/others")
    assert len(server.seen) == 1


def test_fifth_failure_in_a_row_leaves_the_host_alone(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    server.script(PATH, Reply(b"", 500))
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            fetch(open_fetcher())
    assert len(server.seen) == 5
    with pytest.raises(ProviderUnavailable, match="left alone"):
        fetch(open_fetcher())
    assert len(server.seen) == 5


def test_refusals_do_not_count_as_failures_of_the_host(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    for _ in range(6):
        with pytest.raises(NotFound):
            fetch(open_fetcher())
    server.script(PATH, GOOD)
    assert fetch(open_fetcher()) == {"a": 1}


def test_fresh_enough_answer_is_used_unasked(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, GOOD)
    fetch(open_fetcher())
    second = open_fetcher(fresh_after=LONG_AGO)
    assert fetch(second) == {"a": 1}
    assert second.requests == RequestCounts(cache_hits=1)


def test_missing_record_is_remembered_too(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    with pytest.raises(NotFound):
        fetch(open_fetcher())
    second = open_fetcher(fresh_after=LONG_AGO)
    with pytest.raises(NotFound):
        fetch(second)
    assert second.requests == RequestCounts(cache_hits=1)
    assert len(server.seen) == 1


def test_older_answer_is_asked_about_with_its_validators(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    validators = {"ETag": 'W/"7"', "Last-Modified": "Sat, 18 Oct 2031 08:30:00 GMT"}
    server.script(PATH, Reply({"a": 1}, headers=validators), Reply(b"", 304))
    before = datetime.now(UTC)
    fetch(open_fetcher())
    second = open_fetcher()
    assert fetch(second) == {"a": 1}
    assert second.requests == RequestCounts(sent=1, not_modified=1)
    assert server.seen[1].headers["if-none-match"] == validators["ETag"]
    assert server.seen[1].headers["if-modified-since"] == validators["Last-Modified"]
    third = open_fetcher(fresh_after=before)
    assert fetch(third) == {"a": 1}
    assert third.requests == RequestCounts(cache_hits=1)


def test_no_condition_without_a_validator(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, GOOD, Reply({"a": 2}))
    fetch(open_fetcher())
    assert fetch(open_fetcher()) == {"a": 2}
    assert "if-none-match" not in server.seen[1].headers
    assert "if-modified-since" not in server.seen[1].headers


def test_one_customers_answer_is_never_given_to_another(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    server.script(PATH, lambda seen: Reply({"of": seen.headers["x-api-key"]}))
    assert fetch(open_fetcher(key="one")) == {"of": "one"}
    assert fetch(open_fetcher(key="two", fresh_after=LONG_AGO)) == {"of": "two"}
    assert fetch(open_fetcher(key="one", fresh_after=LONG_AGO)) == {"of": "one"}


def test_many_who_need_the_same_answer_ask_once(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, GOOD)
    fetchers = [open_fetcher(fresh_after=LONG_AGO) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(fetch, fetchers)) == [{"a": 1}] * 8
    assert len(server.seen) == 1
    assert sum(fetcher.requests.cache_hits for fetcher in fetchers) == 7


def test_all_here_are_given_what_another_process_was_answered(
    server: ProviderServer, open_fetcher: OpenFetcher, redis_client: redis.Redis, namespace: str
) -> None:
    answers = RedisAnswers(redis_client, namespace)
    asked = upstream(server)
    key = asked.answer_key(asked.address(PATH))
    assert answers.look_up(key, fresh_after=LONG_AGO, asker="elsewhere").has_turn
    fetchers = [open_fetcher(fresh_after=LONG_AGO) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(fetch, fetcher) for fetcher in fetchers]
        answers.save(
            key, b'{"a": 1}', validators=(None, None), fetched_at=datetime.now(UTC), asker="elsewhere"
        )
        assert [waited.result() for waited in waiting] == [{"a": 1}] * 8
    assert not server.seen
    assert sum(fetcher.requests.cache_hits for fetcher in fetchers) == 8


def test_one_who_waits_asks_itself_once_the_other_process_gives_up(
    server: ProviderServer, open_fetcher: OpenFetcher, redis_client: redis.Redis, namespace: str
) -> None:
    server.script(PATH, GOOD)
    answers = RedisAnswers(redis_client, namespace)
    asked = upstream(server)
    key = asked.answer_key(asked.address(PATH))
    answers.look_up(key, fresh_after=LONG_AGO, asker="elsewhere")
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(fetch, open_fetcher(fresh_after=LONG_AGO)) for _ in range(4)]
        answers.abandon(key, asker="elsewhere")
        assert [waited.result() for waited in waiting] == [{"a": 1}] * 4
    assert len(server.seen) == 1


def test_digests_are_recalled_of_what_is_at_hand(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, GOOD)
    digest = open_fetcher().fetch_digest(PATH, dict, operation="fetch things")
    with pytest.raises(NotFound):
        fetch(open_fetcher(), "/v1/gone")
    fetcher = open_fetcher(fresh_after=LONG_AGO)
    assert fetcher.recall_digests([PATH, "/v1/gone", "/v1/unknown"]) == [digest, "", None]
    assert fetcher.requests == RequestCounts(cache_hits=2)
    assert open_fetcher().recall_digests([PATH]) == [None]
    assert len(server.seen) == 2


def test_failed_asker_passes_the_turn_on(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, Reply({"error": "no"}, 401), GOOD)
    with pytest.raises(CredentialsRejected):
        fetch(open_fetcher())
    assert fetch(open_fetcher(fresh_after=LONG_AGO)) == {"a": 1}


def test_never_more_at_once_than_the_key_may(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    fetcher = open_fetcher(concurrency=3, is_urgent=True)
    paths = [f"/v1/things/{number}" for number in range(30)]
    for path in paths:
        server.script(path, GOOD)
    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(lambda path: fetch(fetcher, path), paths)) == [{"a": 1}] * 30
    assert server.most_in_flight <= 3


@pytest.mark.parametrize("fault", [Reply(b"", 500), Reply(b"", 429, {"Retry-After": "90"}), BLOCK])
def test_stored_answer_serves_while_the_provider_fails_where_that_is_asked_for(
    server: ProviderServer, open_fetcher: OpenFetcher, fault: Reply
) -> None:
    server.script(PATH, GOOD, fault)
    fetch(open_fetcher())
    patient = open_fetcher(settings=QUICK.model_copy(update={"stale_if_error_s": 60.0}))
    assert fetch(patient) == {"a": 1}
    assert patient.requests.cache_hits == 1
    with pytest.raises((ProviderUnavailable, RateLimited)):
        fetch(open_fetcher())


def test_run_sends_no_more_than_its_budget(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, GOOD)
    fetcher = open_fetcher(settings=QUICK.model_copy(update={"max_requests": 2}))
    fetch(fetcher)
    fetch(fetcher)
    with pytest.raises(UnexpectedResponse, match=r"http\.max_requests"):
        fetch(fetcher)
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    "reply",
    [Reply(b"", 500), Reply(b"", 429), BLOCK, HTML, Reply({"error": "no"}, 401), Reply(fault="reset"), GOOD],
    ids=["500", "429", "block", "html", "401", "reset", "good"],
)
def test_no_secret_is_told(
    server: ProviderServer, open_fetcher: OpenFetcher, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script(f"{PATH}?api_token={KEY}", reply)
    told = ""
    try:
        fetch(open_fetcher(params=(("api_token", KEY),), settings=NO_PATIENCE))
    except SyncError as error:
        cause: BaseException | None = error
        while cause is not None:
            told += f"{cause!r} {cause}"
            cause = cause.__cause__ or cause.__context__
    assert server.seen
    assert KEY not in told + caplog.text
