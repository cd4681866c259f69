"""The entry point `playcricket` of `clubsync.providers`."""

from __future__ import annotations

from datetime import UTC, datetime

from providers.playcricket.client import PlayCricketClient
from providers.playcricket.source import PlayCricketSource
from providers.ports import Opens
from providers.reach import Probe
from providers.upstream import Upstream
from settings.schema import PlayCricketSettings, Settings
from sync.errors import InvalidRequest
from sync.ports import Source

# The documentation asks for at least a minute after a 429, whatever the header says.
THROTTLE_WAIT_S = 60.0


def open_source(settings: Settings, outbound: Opens, *, fresh_after: datetime, is_urgent: bool) -> Source:
    """Open Play-Cricket for one run. Raises InvalidRequest without a token."""
    playcricket = settings.providers.playcricket
    if playcricket.api_token is None:
        raise InvalidRequest(
            "Play-Cricket is not configured: set CLUBSYNC_PROVIDERS__PLAYCRICKET__API_TOKEN "
            "to the token of your site"
        )
    upstream = _upstream(playcricket, playcricket.api_token.get_secret_value())
    fetcher = outbound.open(upstream, settings.http, fresh_after=fresh_after, is_urgent=is_urgent)
    return PlayCricketSource(PlayCricketClient(fetcher), today=datetime.now(UTC).date())


def probe(settings: Settings) -> Probe | None:
    """Asks for the competitions of no season."""
    playcricket = settings.providers.playcricket
    if playcricket.api_token is None:
        return None
    return Probe(_upstream(playcricket, playcricket.api_token.get_secret_value()), "/competitions.json")


def _upstream(playcricket: PlayCricketSettings, token: str) -> Upstream:
    return Upstream(
        provider="playcricket",
        base_url=playcricket.base_url,
        credential=token,
        params=(("api_token", token),),
        requests_per_s=playcricket.requests_per_s,
        concurrency=playcricket.concurrency,
        throttle_wait_s=THROTTLE_WAIT_S,
        min_throttle_wait_s=THROTTLE_WAIT_S,
    )
