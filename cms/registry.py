"""Opens the CMS that the settings name; a stranger's package adds one as an entry point.

An adapter registers `open_cms(context: CmsContext) -> sync.ports.Cms` under its kind in
the group `clubsync.cms`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

from cms.local import LocalStores
from settings.schema import CmsSettings
from sync.delivery.outbox import Outbox, OutboxCms
from sync.errors import ConfigurationError, SyncError
from sync.ports import Clock, Cms, Runs
from sync.report import Run

GROUP = "clubsync.cms"
EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True, kw_only=True)
class CmsContext:
    """What an adapter may need: its settings, the local stores and the clock."""

    settings: CmsSettings
    stores: LocalStores
    clock: Clock


@runtime_checkable
class Listener(Protocol):
    """A CMS that wants to know when runs end."""

    def run_ended(self, run: Run) -> None:
        """Called once after the verdict. Raises CmsUnavailable when the CMS surely did not hear of it."""
        ...


@runtime_checkable
class Tracker(Protocol):
    """A CMS that keeps a log of runs of its own."""

    def track(self, run: Run) -> None:
        """Called at a run's start, after each of its stages and with its verdict. Never raises."""
        ...


OpenCms = Callable[[CmsContext], Cms]


def open_cms(context: CmsContext) -> Cms:
    """Raises ConfigurationError for a kind that no installed package offers, or one that cannot be opened."""
    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    entry = installed.get(context.settings.kind)
    if entry is None:
        raise ConfigurationError(
            f"cms.kind: {context.settings.kind!r} is not installed; one of {', '.join(sorted(installed))}"
        )
    try:
        adapter: OpenCms = entry.load()
        return adapter(context)
    except (SyncError, ConfigurationError):
        raise
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigurationError(
            f"cms.kind: {entry.name!r} ({entry.value}) does not work: {reason}"
        ) from error


def behind_outbox(cms: Cms, context: CmsContext, outbox: Outbox) -> Cms:
    """The CMS with the outbox before it: runs go on while it is away.

    The embedded one stays as it is: the outbox would be away with it.
    """
    if context.settings.kind == EMBEDDED:
        return cms
    return OutboxCms(cms, context.stores.mirror, outbox, context.clock)


def listener_of(cms: Cms) -> Callable[[Run], None] | None:
    """How to tell the CMS of a run's end; None when it does not want to know."""
    return cms.run_ended if isinstance(cms, Listener) else None


def told_to(cms: Cms, runs: Runs) -> Runs:
    """The run records, of which a CMS that keeps a log of its own is told."""
    return _ToldRuns(runs, cms) if isinstance(cms, Tracker) else runs


@dataclass(frozen=True, slots=True)
class _ToldRuns:
    runs: Runs
    tracker: Tracker

    def request(self, run: Run) -> None:
        self.runs.request(run)

    def find(self, run_id: str) -> Run:
        return self.runs.find(run_id)

    def save(self, run: Run) -> None:
        self.runs.save(run)
        self.tracker.track(run)
