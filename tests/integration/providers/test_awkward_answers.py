"""Answers that are too long, too slow, packed wrongly, sent elsewhere or no text at all."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import Any

import pytest

from providers.fetcher import Fetcher
from sync.errors import ProviderUnavailable, UnexpectedResponse
from tests.integration.providers.conftest import KEY, QUICK, OpenFetcher
from tests.provider_server import ProviderServer, Reply

PATH = "/v1/things"
GOOD = Reply({"a": 1})
PACKED = gzip.compress(b'{"a": 1}')
GZIP = {"Content-Encoding": "gzip"}
SMALL = QUICK.model_copy(update={"max_body_bytes": 100_000})
LONG = b'{"a": "' + b" " * 30_000_000 + b'"}'


def fetch(fetcher: Fetcher) -> Any:
    return fetcher.fetch(PATH, dict, operation="fetch things of grade 7")


def test_packed_answer_is_unpacked(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, Reply(PACKED, headers=GZIP))
    assert fetch(open_fetcher()) == {"a": 1}
    assert server.seen[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    "reply", [Reply(gzip.compress(LONG), headers=GZIP), Reply(LONG)], ids=["packed", "plain"]
)
def test_answer_without_measure_is_refused_at_once_and_never_held(
    server: ProviderServer, open_fetcher: OpenFetcher, reply: Reply
) -> None:
    server.script(PATH, reply)
    fetcher = open_fetcher(settings=SMALL)
    tracemalloc.start()
    try:
        with pytest.raises(UnexpectedResponse, match=r"grade 7.*http\.max_body_bytes"):
            fetch(fetcher)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 5_000_000
    assert len(server.seen) == 1


def test_answer_as_long_as_may_be_is_taken(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, Reply(PACKED, headers=GZIP))
    assert fetch(open_fetcher(settings=QUICK.model_copy(update={"max_body_bytes": 8}))) == {"a": 1}


def test_body_that_trickles_without_end_is_given_up(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    server.script(PATH, Reply(fault="trickle"), GOOD)
    fetcher = open_fetcher(settings=QUICK.model_copy(update={"body_timeout_s": 0.3}))
    assert fetch(fetcher) == {"a": 1}
    assert fetcher.requests.retried >= 1
    server.script(PATH, Reply(fault="trickle"))
    with pytest.raises(ProviderUnavailable, match="read timeout"):
        fetch(open_fetcher(settings=QUICK.model_copy(update={"body_timeout_s": 0.2, "attempts": 2})))


@pytest.mark.parametrize("rest", [b"", b"\0\0\0", gzip.compress(b"\n")], ids=["nothing", "padding", "more"])
def test_answer_packed_in_members_is_read_whole(
    server: ProviderServer, open_fetcher: OpenFetcher, rest: bytes
) -> None:
    members = gzip.compress(b'{"a"') + gzip.compress(b": 1}")
    server.script(PATH, Reply(members + rest, headers=GZIP))
    assert fetch(open_fetcher()) == {"a": 1}


@pytest.mark.parametrize(
    "fault",
    [
        Reply(PACKED[:-9], headers=GZIP),
        Reply(b'{"a": 1}', headers=GZIP),
        Reply(b'{"a": 1}', headers={"Content-Length": "20"}),
    ],
    ids=["packed without an end", "not packed at all", "shorter than announced"],
)
def test_half_an_answer_passes_or_is_unavailability(
    server: ProviderServer, open_fetcher: OpenFetcher, fault: Reply
) -> None:
    server.script(PATH, fault, GOOD)
    assert fetch(open_fetcher()) == {"a": 1}
    server.script(PATH, fault)
    with pytest.raises(ProviderUnavailable, match="no usable answer"):
        fetch(open_fetcher())


@pytest.mark.parametrize(
    "fault",
    [
        Reply(b'{"a": NaN}'),
        Reply(b'{"a": 1e999}'),
        Reply(b'{"a": ' + b"9" * 5000 + b"}"),
        Reply(b'{"a": "\xff\xfe"}'),
        Reply(b'{"a": "\\ud800"}'),
        Reply(b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    ],
    ids=["nan", "huge", "digits", "not utf-8", "half a character", "nested"],
)
def test_what_is_no_json_is_refused_after_all_attempts(
    server: ProviderServer, open_fetcher: OpenFetcher, fault: Reply
) -> None:
    server.script(PATH, fault)
    with pytest.raises(UnexpectedResponse, match="breaks its contract"):
        fetch(open_fetcher())
    assert len(server.seen) == QUICK.attempts


def test_answer_packed_in_what_nobody_asked_for_is_refused_at_once(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    server.script(PATH, Reply(b"?", headers={"Content-Encoding": "gzip, gzip"}))
    with pytest.raises(UnexpectedResponse, match='packed as "gzip, gzip"'):
        fetch(open_fetcher())
    assert len(server.seen) == 1


def test_answer_longer_than_announced_is_never_taken_for_a_whole(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    longer = Reply(b'{"a": 1}', headers={"Content-Length": "4"})
    server.script(PATH, longer, GOOD)
    assert fetch(open_fetcher()) == {"a": 1}
    server.script(PATH, longer)
    # Which of the two depends on whether its rest is met on the connection before its end.
    with pytest.raises((UnexpectedResponse, ProviderUnavailable)):
        fetch(open_fetcher())


@pytest.mark.parametrize("label", ["hex", "rot13", "ascii", "idna", "no-such-thing"])
def test_wrong_label_of_a_text_changes_nothing_of_it(
    server: ProviderServer, open_fetcher: OpenFetcher, label: str
) -> None:
    server.script(
        PATH,
        Reply('{"a": "Café"}'.encode(), headers={"Content-Type": f"application/json; charset={label}"}),
    )
    assert fetch(open_fetcher()) == {"a": "Café"}


def test_validator_that_cannot_be_sent_is_left_out(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, Reply({"a": 1}, headers={"ETag": '"é"', "Last-Modified": "gëstern"}))
    fetch(open_fetcher())
    assert fetch(open_fetcher()) == {"a": 1}
    assert "if-none-match" not in server.seen[1].headers
    assert "if-modified-since" not in server.seen[1].headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_key_does_not_follow_to_another_host(
    server: ProviderServer, open_fetcher: OpenFetcher, status: int
) -> None:
    with ProviderServer().running() as other:
        place = other.url.removeprefix("http://")
        server.script(PATH, Reply(b"", status, {"Location": f"http://u:{KEY}@{place}/x?key={KEY}"}))
        with pytest.raises(UnexpectedResponse, match=rf"sends us on to {place} .*base_url") as refused:
            fetch(open_fetcher())
        assert other.seen == []
    assert KEY not in str(refused.value)
    assert len(server.seen) == 1


def test_loop_of_redirects_is_not_entered(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, Reply(b"", 302, {"Location": PATH}))
    with pytest.raises(UnexpectedResponse, match="another path of its own"):
        fetch(open_fetcher())
    assert len(server.seen) == 1
