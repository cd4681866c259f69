"""The entry point `playhq` of `clubsync.providers`."""

from __future__ import annotations

from datetime import datetime

from providers.playhq.client import PlayHQClient
from providers.playhq.source import PlayHQSource
from providers.ports import Opens
from providers.reach import Probe
from providers.upstream import Upstream
from settings.schema import PlayHQSettings, Settings
from sync.errors import InvalidRequest
from sync.ports import Source

# Australia and New Zealand; other regions are given as `base_url`.
PUBLIC_API = "https://api.playhq.com"
# The simulator takes any key; a real server needs one of its own.
SIMULATOR_KEY = "simulator"
NOBODY = "00000000-0000-0000-0000-000000000000"


def open_source(settings: Settings, outbound: Opens, *, fresh_after: datetime, is_urgent: bool) -> Source:
    """Open PlayHQ for one run. Raises InvalidRequest when neither an address nor a key is set."""
    playhq = settings.providers.playhq
    fetcher = outbound.open(_upstream(playhq), settings.http, fresh_after=fresh_after, is_urgent=is_urgent)
    return PlayHQSource(
        PlayHQClient(fetcher),
        tenant=playhq.tenant,
        default_zone=playhq.default_zone,
        extra_season_ids=playhq.extra_season_ids,
    )


def probe(settings: Settings) -> Probe | None:
    """Asks for the seasons of nobody."""
    playhq = settings.providers.playhq
    if playhq.base_url is None and playhq.api_key is None:
        return None
    return Probe(_upstream(playhq), f"/v1/organisations/{NOBODY}/seasons")


def _upstream(playhq: PlayHQSettings) -> Upstream:
    if playhq.base_url is None and playhq.api_key is None:
        raise InvalidRequest(
            "PlayHQ is not configured: set CLUBSYNC_PROVIDERS__PLAYHQ__API_KEY and __TENANT, "
            "or __BASE_URL to a running `clubsync simulator`"
        )
    key = playhq.api_key.get_secret_value() if playhq.api_key is not None else SIMULATOR_KEY
    return Upstream(
        provider="playhq",
        base_url=playhq.base_url or PUBLIC_API,
        credential=key,
        headers=(("x-api-key", key), ("x-phq-tenant", playhq.tenant.lower())),
        requests_per_s=playhq.requests_per_s,
        concurrency=playhq.concurrency,
    )
