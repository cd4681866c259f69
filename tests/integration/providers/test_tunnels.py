"""A provider behind TLS, reached through a proxy by CONNECT."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from providers import transport
from settings.schema import HttpSettings
from sync.errors import ProviderUnavailable, ProxyUnavailable
from tests.integration.providers.conftest import KEY, QUICK, OpenFetcher
from tests.provider_server import ProviderServer, Reply
from tests.proxy_server import ProxyServer

WORD = "pr0xy-word"
PATH = "/v1/things"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[ProviderServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ProviderServer(context).running() as running:
        running.script(PATH, Reply({"a": 1}))
        yield running


@pytest.fixture
def trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    monkeypatch.setattr(transport, "_tls_context", lambda: context)


def through(*proxies: ProxyServer, word: str = WORD) -> HttpSettings:
    urls = tuple(SecretStr(f"http://agent:{word}@{proxy.address}") for proxy in proxies)
    return QUICK.model_copy(update={"proxies": urls})


def fetch(open_fetcher: OpenFetcher, settings: HttpSettings) -> Any:
    return open_fetcher(settings=settings).fetch(PATH, dict, operation="fetch a thing")


def told_by(error: BaseException | None) -> str:
    told = ""
    while error is not None:
        told += f"{error!r} {error}"
        error = error.__cause__ or error.__context__
    return told


@pytest.mark.usefixtures("trusted")
def test_tunnel_keeps_the_key_from_the_proxy_and_the_proxys_word_from_the_provider(
    server: ProviderServer, open_fetcher: OpenFetcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with ProxyServer(f"agent:{WORD}").running() as proxy:
        assert fetch(open_fetcher, through(proxy)) == {"a": 1}
    assert proxy.tunnelled == [server.url.removeprefix("https://")]
    assert KEY not in "".join(proxy.told)
    assert server.seen[0].headers["x-api-key"] == KEY
    assert "proxy-authorization" not in server.seen[0].headers
    assert WORD not in caplog.text
    assert KEY not in caplog.text


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("word", "status", "what"),
    [
        ("wrong-word", 200, r"wants other credentials \(407\)"),
        (WORD, 502, r"refuses to connect \(502\)"),
        (WORD, 403, r"refuses to connect \(403\)"),
    ],
)
def test_proxy_that_opens_no_tunnel_is_named_without_its_word_and_rests(
    open_fetcher: OpenFetcher, caplog: pytest.LogCaptureFixture, word: str, status: int, what: str
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        ProxyServer(f"agent:{WORD}", tunnel_status=status).running() as bad,
        ProxyServer(f"agent:{word}").running() as good,
    ):
        with pytest.raises(ProxyUnavailable, match=rf"proxy 1 of 1, {bad.address}, {what}") as refused:
            fetch(open_fetcher, through(bad, word=word))
        both = through(bad, good, word=word)
        asked_before = len(bad.tunnelled) + bad.refused
        fetcher = open_fetcher(settings=both)
        for _ in range(4):
            assert fetcher.fetch(PATH, dict, operation="fetch a thing") == {"a": 1}
        assert fetcher.requests.retried == 1
        assert len(bad.tunnelled) + bad.refused == asked_before + 1
    told = told_by(refused.value) + caplog.text
    assert word not in told
    assert KEY not in told


@pytest.mark.usefixtures("trusted")
def test_proxy_that_is_not_there_is_named_without_its_word(open_fetcher: OpenFetcher) -> None:
    settings = QUICK.model_copy(update={"proxies": (SecretStr(f"http://agent:{WORD}@127.0.0.1:1"),)})
    with pytest.raises(ProxyUnavailable, match=r"proxy 1 of 1, 127\.0\.0\.1:1, cannot be reached") as refused:
        fetch(open_fetcher, settings)
    assert WORD not in told_by(refused.value)


def test_certificate_that_nobody_vouches_for_is_not_trusted(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    with ProxyServer(f"agent:{WORD}").running() as proxy:
        with pytest.raises(ProxyUnavailable, match="no TLS connection that can be trusted"):
            fetch(open_fetcher, through(proxy))
        with pytest.raises(ProviderUnavailable):
            fetch(open_fetcher, QUICK)
    assert server.seen == []
