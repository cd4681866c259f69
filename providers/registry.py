"""Providers by name, from the entry points `clubsync.providers`; ours are registered the same way."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from providers.outbound import ConductedOutbound
from providers.ports import Conduct, Opens
from providers.recording import RecordedOutbound, Recording, recording_path
from settings.schema import Settings
from sync.errors import InvalidRequest
from sync.ports import Source

GROUP = "clubsync.providers"

log = logging.getLogger(__name__)


class OpenSource(Protocol):
    """What an entry point names: opens the provider for one run.

    `outbound` is the shared way out (quota, stored answers, breaker, retries).
    Raises InvalidRequest when the provider is not configured.
    """

    def __call__(
        self, settings: Settings, outbound: Opens, *, fresh_after: datetime, is_urgent: bool
    ) -> Source: ...


@dataclass(frozen=True, slots=True)
class Plugins:
    """Installed providers: those that work, and why the others do not."""

    openers: Mapping[str, OpenSource] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)


def load_plugins(points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Import every installed provider; a broken one is reported and harms no other."""
    openers: dict[str, OpenSource] = {}
    broken: dict[str, str] = {}
    for point in entry_points(group=GROUP) if points is None else points:
        try:
            opener = point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module may raise anything, or end
            broken[point.name] = f"{point.value} cannot be imported: {type(error).__name__}: {error}"
            continue
        if callable(opener):
            openers[point.name] = opener
        else:
            broken[point.name] = f"{point.value} is not a function that opens a source"
    return Plugins(openers, broken)


class InstalledSources:
    """Satisfies `sync.ports.Sources` under one set of settings."""

    def __init__(self, plugins: Plugins, outbound: Opens, settings: Settings) -> None:
        self._plugins = plugins
        self._outbound = outbound
        self._settings = settings
        # The providers that were opened; without these settings' limits they would go by older ones.
        self._used: set[str] = set()

    def succeed(self, former: InstalledSources) -> None:
        """Let the limits of these settings hold for the runs that `former` opened, too."""
        for provider in sorted(former._used):
            try:
                self.open(provider, run_id="", fresh_after=datetime.now(UTC), is_urgent=False)
            except Exception as error:  # noqa: BLE001 - a stranger's opener may raise anything; its next run tells
                log.warning("limits_not_renewed", extra={"provider": provider, "reason": str(error)})

    def open(  # noqa: PLR0913 - the shape of `sync.ports.Sources`
        self,
        provider: str,
        *,
        run_id: str,
        fresh_after: datetime,
        is_urgent: bool,
        is_patient: bool = False,
        is_helping: bool = False,
    ) -> Source:
        """Raises InvalidRequest for a provider that is not installed or not configured."""
        opener = self._plugins.openers.get(provider)
        if opener is None:
            reason = self._plugins.broken.get(provider)
            known = ", ".join(sorted(self._plugins.openers)) or "none"
            raise InvalidRequest(
                f"provider {provider} does not work: {reason}"
                if reason
                else f"provider {provider} is not installed; installed are: {known}"
            )
        settings = self._settings
        conduct = Conduct(is_patient=is_patient, is_helping=is_helping)
        outbound: Opens = ConductedOutbound(self._outbound, conduct)
        if settings.http.records_runs:
            outbound = RecordedOutbound(outbound, Recording(recording_path(settings.home, run_id)))
        self._used.add(provider)
        return opener(settings, outbound, fresh_after=fresh_after, is_urgent=is_urgent)
