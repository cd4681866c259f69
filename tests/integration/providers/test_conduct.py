"""How a run behaves while its provider fails: what it repeats, and whether it comes back later."""

from __future__ import annotations

import pytest

from providers.exchange import REPEATS_ALLOWED
from providers.fetcher import Fetcher
from providers.ports import Conduct
from sync.errors import ProviderResting, ProviderUnavailable, RateLimited
from tests.integration.providers.conftest import QUICK, OpenFetcher
from tests.provider_server import ProviderServer, Reply

FAULT = Reply(b"", 503)
GOOD = Reply({"a": 1})
HELPING = Conduct(is_helping=True)
PATIENT = Conduct(is_patient=True)
STUBBORN = QUICK.model_copy(update={"attempts": 10})


def ask(fetcher: Fetcher, path: str) -> None:
    fetcher.fetch(path, dict, operation=f"fetch {path}")


def test_a_run_repeats_a_tenth_of_its_requests_and_ten_in_any_case(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    fetcher = open_fetcher()
    for number in range(REPEATS_ALLOWED):
        server.script(f"/v1/flaky/{number}", FAULT, GOOD)
        ask(fetcher, f"/v1/flaky/{number}")
    server.script("/v1/last", FAULT, GOOD)
    with pytest.raises(ProviderUnavailable, match=r"503.*10 of 21 requests were repeats already"):
        ask(fetcher, "/v1/last")
    server.script("/v1/sound", GOOD)
    for number in range(100):
        server.script(f"/v1/sound/{number}", GOOD)
        ask(fetcher, f"/v1/sound/{number}")
    server.script("/v1/again", FAULT, GOOD)
    ask(fetcher, "/v1/again")
    assert fetcher.requests.retried == REPEATS_ALLOWED + 1


def test_an_answer_that_cannot_be_read_is_no_verdict_when_nothing_may_be_repeated(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    server.script("/v1/page", Reply(b"<html>Please log in</html>", headers={"Content-Type": "text/html"}))
    with pytest.raises(ProviderUnavailable, match="breaks its contract"):
        ask(open_fetcher(conduct=HELPING), "/v1/page")


@pytest.mark.parametrize("fault", [FAULT, Reply(b"", 429, headers={"Retry-After": "0"})])
def test_a_helper_repeats_nothing(server: ProviderServer, open_fetcher: OpenFetcher, fault: Reply) -> None:
    server.script("/v1/thing", fault, GOOD)
    with pytest.raises((ProviderUnavailable, RateLimited)):
        ask(open_fetcher(conduct=HELPING), "/v1/thing")
    assert len(server.seen) == 1


def open_breaker(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script("/v1/down", FAULT)
    with pytest.raises(ProviderUnavailable):
        ask(open_fetcher(settings=STUBBORN), "/v1/down")


def test_a_nights_run_comes_back_when_the_provider_may_be_asked_again(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    open_breaker(server, open_fetcher)
    with pytest.raises(ProviderResting, match="left alone") as resting:
        ask(open_fetcher(conduct=PATIENT), "/v1/other")
    assert 60 < resting.value.retry_after_s <= 60 * 1.5


def test_whoever_waits_is_told_at_once(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    open_breaker(server, open_fetcher)
    with pytest.raises(ProviderUnavailable, match="left alone"):
        ask(open_fetcher(), "/v1/other")
