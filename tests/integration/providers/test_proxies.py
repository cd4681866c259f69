"""Proxies: in turn, with credentials, left out while they fail, and never told about."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from pydantic import SecretStr

from providers.ports import Conduct
from settings.schema import HttpSettings
from sync.errors import ProviderUnavailable, ProxyUnavailable
from tests.integration.providers.conftest import QUICK, OpenFetcher
from tests.provider_server import ProviderServer, Reply
from tests.proxy_server import ProxyServer

CREDENTIALS = "agent:pr0xy-word"
PATHS = [f"/v1/things/{number}" for number in range(6)]


@pytest.fixture
def proxies() -> Iterator[list[ProxyServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(ProxyServer(CREDENTIALS).running()) for _ in range(2)]


@pytest.fixture(autouse=True)
def things(server: ProviderServer) -> None:
    for path in PATHS:
        server.script(path, Reply({"path": path}))


def through(*urls: str) -> HttpSettings:
    return QUICK.model_copy(update={"proxies": tuple(SecretStr(url) for url in urls)})


def fetch_all(open_fetcher: OpenFetcher, settings: HttpSettings) -> int:
    """Fetch every thing, one after another; answers how many requests that took."""
    fetcher = open_fetcher(settings=settings)
    for path in PATHS:
        assert fetcher.fetch(path, dict, operation="fetch a thing") == {"path": path}
    return fetcher.requests.sent


def test_proxies_take_turns(
    server: ProviderServer, proxies: list[ProxyServer], open_fetcher: OpenFetcher
) -> None:
    settings = through(*(f"http://{CREDENTIALS}@{proxy.address}" for proxy in proxies))
    assert fetch_all(open_fetcher, settings) == len(PATHS)
    assert [len(proxy.forwarded) for proxy in proxies] == [3, 3]
    assert len(server.seen) == len(PATHS)


@pytest.mark.parametrize("fault", ["wrong password", "dead"])
def test_failing_proxy_is_left_out_after_its_first_failure(
    proxies: list[ProxyServer], open_fetcher: OpenFetcher, fault: str
) -> None:
    good = f"http://{CREDENTIALS}@{proxies[0].address}"
    bad = f"http://agent:wrong@{proxies[1].address}" if fault == "wrong password" else "http://127.0.0.1:1"
    assert fetch_all(open_fetcher, through(bad, good)) == len(PATHS) + 1
    assert len(proxies[0].forwarded) == len(PATHS)
    assert proxies[1].forwarded == []


def test_provider_is_unavailable_while_all_proxies_fail_but_its_breaker_stays_closed(
    proxies: list[ProxyServer], open_fetcher: OpenFetcher
) -> None:
    bad = through(*(f"http://agent:wrong@{proxy.address}" for proxy in proxies))
    for _ in range(3):
        with pytest.raises(
            ProviderUnavailable, match=r"proxy \d of 2, 127\.0\.0\.1:\d+, wants other credentials"
        ):
            open_fetcher(settings=bad).fetch(PATHS[0], dict, operation="fetch a thing")
    assert fetch_all(open_fetcher, QUICK) == len(PATHS)


def test_a_proxy_is_still_blamed_once_nothing_may_be_repeated(
    proxies: list[ProxyServer], open_fetcher: OpenFetcher
) -> None:
    bad = through(f"http://agent:wrong@{proxies[0].address}")
    with pytest.raises(ProxyUnavailable, match="requests were repeats already"):
        open_fetcher(settings=bad, conduct=Conduct(is_helping=True)).fetch(
            PATHS[0], dict, operation="fetch a thing"
        )


def test_proxies_are_never_told_about(
    proxies: list[ProxyServer], open_fetcher: OpenFetcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = ""
    for settings in (
        through(f"http://{CREDENTIALS}@{proxies[0].address}"),
        through(f"http://{CREDENTIALS}@127.0.0.1:1"),
    ):
        try:
            fetch_all(open_fetcher, settings)
        except ProviderUnavailable as error:
            cause: BaseException | None = error
            while cause is not None:
                told += f"{cause!r} {cause}"
                cause = cause.__cause__ or cause.__context__
    assert told
    assert "pr0xy-word" not in told + caplog.text


def test_environment_decides_nothing(
    server: ProviderServer, open_fetcher: OpenFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert fetch_all(open_fetcher, QUICK) == len(PATHS)
    assert len(server.seen) == len(PATHS)
