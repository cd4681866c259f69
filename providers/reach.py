"""Whether a provider answers and takes our credentials, asked once outside any run and quota.

A plugin's module may offer `probe(settings) -> Probe | None`, None when it is not configured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from providers.receiving import receive
from providers.registry import OpenSource
from providers.upstream import Upstream
from providers.verdicts import Faulty, Throttled, judge
from settings.schema import HttpSettings, Settings
from sync.errors import CredentialsRejected, NotFound, ProviderUnavailable


@dataclass(frozen=True, slots=True)
class Probe:
    """A question that costs the provider little and that it answers only with the right key."""

    upstream: Upstream
    path: str


def probe_of(opener: OpenSource) -> Callable[[Settings], Probe | None] | None:
    """The question of an installed provider, if its module offers one."""
    found: Callable[[Settings], Probe | None] | None = getattr(sys.modules[opener.__module__], "probe", None)
    return found


def reach(probe: Probe, http: HttpSettings, *, timeout_s: float, proxy: str | None = None) -> str:
    """Ask, through the proxy if one is given; answers what came back in a few words.

    A record that does not exist is an answer too. Raises ProviderUnavailable and
    CredentialsRejected, also for those of the proxy, and UnexpectedResponse for an answer
    beyond the bounds of `http`.
    """
    upstream = probe.upstream
    transport = httpx.HTTPTransport(proxy=proxy, trust_env=False)
    what = f"{upstream.host} asked through the proxy" if proxy else upstream.host
    with httpx.Client(transport=transport, timeout=timeout_s) as client:
        try:
            response = receive(client, upstream.address(probe.path), dict(upstream.headers), what, http)
        except httpx.ProxyError as error:
            raise CredentialsRejected(f"{what}: the proxy refuses ({error})") from error
        except httpx.RequestError as error:
            raise ProviderUnavailable(f"{what}: no answer ({type(error).__name__})") from error
    if response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
        raise CredentialsRejected(f"{what}: the proxy wants other credentials (407)")
    try:
        verdict = judge(response, what, upstream, now=datetime.now(UTC))
    except NotFound:
        return f"{what} answers"
    if isinstance(verdict, Faulty):
        raise ProviderUnavailable(f"{what}: answers {verdict.status}")
    return f"{what} throttles us just now" if isinstance(verdict, Throttled) else f"{what} answers"
