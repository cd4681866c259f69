"""Queues, running syncs, processes and incidents in one live view of a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dramatiq.errors import BrokerError
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from brokers.operations import Operations
from brokers.queues import Priority, Queue
from brokers.states import QueueState
from cli.backend import Backend
from cli.output import ago, print_json
from cli.tables import console
from settings.schema import AlertsSettings
from stores.redis.progress import Progress
from stores.redis.registry import Registry, Service
from stores.sql.runs import RunFilter
from sync.errors import ConfigurationError, StoreUnavailable, SyncError
from sync.incident import Incident
from sync.ports import Progressed
from sync.report import Run, RunState

MOST_RUNS = 12
BAR_WIDTH = 20


@dataclass(frozen=True, slots=True)
class Syncing:
    """A running sync, its name for people, and how far its present stage is."""

    run: Run
    name: str
    at: Progressed | None


@dataclass(frozen=True, slots=True)
class View:
    """What is shown at one moment."""

    at: datetime
    queues: Sequence[QueueState]
    syncing: Sequence[Syncing]
    services: Sequence[Service]
    incidents: Sequence[Incident]
    rules: AlertsSettings


def show_top(every_s: float, *, is_once: bool, is_json: bool) -> None:
    """Show it until somebody interrupts; once for programs, pipes and reports."""
    backend = Backend()
    if is_json:
        print_json(_document(_look(backend)))
        return
    terminal = console()
    if is_once or not sys.stdout.isatty():
        terminal.print(_draw(_look(backend)))
        return
    with Live(_draw(_look(backend)), console=terminal, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(every_s)
            live.update(redraw(backend), refresh=True)


def redraw(backend: Backend) -> Group:
    """One look, or why there is none now."""
    try:
        return _draw(_look(backend))
    except (SyncError, ConfigurationError) as error:
        # Somebody watches just because things go wrong; the next look may succeed.
        return Group(Text(f"clubsync top: {error}", style="red"), Text("asking again …", style="dim"))


def _look(backend: Backend) -> View:
    namespace = backend.settings.redis.namespace
    running = backend.stores.runs.list(RunFilter(state=RunState.RUNNING), limit=MOST_RUNS).items
    progress = Progress(backend.redis, namespace)
    incidents = [incident for incident in backend.stores.incidents.current() if incident.is_open]
    try:
        queues = Operations(backend.broker).queues([queue.value for queue in Queue])
    except BrokerError as error:
        raise StoreUnavailable(f"Redis did not answer: {error}") from error
    return View(
        at=backend.clock.now(),
        queues=queues,
        syncing=[_syncing(backend, run, progress) for run in running],
        services=Registry(backend.redis, namespace, backend.clock).list(),
        incidents=incidents,
        rules=backend.settings.alerts,
    )


def _syncing(backend: Backend, run: Run, progress: Progress) -> Syncing:
    name = backend.stores.accounts.find_name(run.account_id) if run.account_id is not None else None
    stages = progress.read(run.id)
    at = next((event for event in reversed(list(stages.values())) if event.done < event.total), None)
    return Syncing(run, name or run.organisation_id or run.id, at)


def _draw(view: View) -> Group:
    parts: list[RenderableType] = [_headline(view), Text(), _queue_table(view.queues, view.rules), Text()]
    if view.syncing:
        parts += [_run_table(view), Text()]
    return Group(*parts, _process_table(view.services))


def _headline(view: View) -> Text:
    line = Text(f"clubsync  {view.at.astimezone():%H:%M:%S}  ", style="bold")
    if not view.incidents:
        return line.append("nothing is wrong that was noticed", style="green")
    line.append(f"{len(view.incidents)} open: ", style="red")
    for incident in view.incidents:
        since = incident.opened_at or incident.first_seen_at
        line.append(f"\n  {incident.severity}  {incident.title}  (since {ago(since)})", style="red")
    return line


def _queue_table(queues: Sequence[QueueState], rules: AlertsSettings) -> Table:
    table = _table("queue", *Priority, "delayed", "running", "dead", "oldest", "sent/min", "done/min", "")
    for state in queues:
        patience_s = rules.patience_s(state.name)
        is_old = patience_s is not None and (state.oldest_age_s or 0) > patience_s
        oldest = Text(_seconds(state.oldest_age_s), style="red" if is_old else "")
        table.add_row(
            state.name,
            *(_count(state.waiting[priority]) for priority in Priority),
            _count(state.delayed),
            _count(state.leased),
            Text(_count(state.dead), style="red" if state.dead else ""),
            oldest,
            f"{state.enqueued_per_minute:.0f}",
            f"{state.done_per_minute:.0f}",
            Text("PAUSED", style="yellow") if state.is_paused else "",
        )
    return table


def _run_table(view: View) -> Table:
    table = _table("sync", "what", "stage", "", "records", "for", "left")
    for one in view.syncing:
        for_s = (view.at - one.run.started_at).total_seconds() if one.run.started_at else None
        table.add_row(
            one.name,
            str(one.run.mode),
            str(one.at.stage) if one.at else "",
            _bar(one.at),
            _count(one.at.records) if one.at else "",
            _seconds(for_s),
            _seconds(_left_s(one.at, for_s)),
        )
    return table


def _left_s(at: Progressed | None, for_s: float | None) -> float | None:
    """At the pace so far; unknown before the first unit is done."""
    if at is None or not at.done or for_s is None:
        return None
    return for_s / at.done * (at.total - at.done)


def _process_table(services: Sequence[Service]) -> Table:
    table = _table("process", "host", "release", "settings", "state", "load", "started", "heard of")
    for one in services:
        load = "  ".join(f"{what} {value:g}" for what, value in one.load.items())
        table.add_row(
            f"{one.role} {one.pid}",
            one.host,
            one.version,
            str(one.config_version or ""),
            one.state,
            load,
            ago(one.started_at),
            ago(one.seen_at),
        )
    if not services:
        table.add_row(Text("none runs: clubsync up", style="red"))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    texts = {"queue", "sync", "what", "stage", "process", "host", "release", "state", "load", "", "started"}
    for column in columns:
        table.add_column(str(column), justify="left" if column in texts else "right", no_wrap=True)
    return table


def _bar(at: Progressed | None) -> str:
    if at is None or not at.total:
        return ""
    filled = round(BAR_WIDTH * at.done / at.total)
    return f"{'█' * filled}{'░' * (BAR_WIDTH - filled)} {at.done}/{at.total}"


def _count(number: int) -> str:
    return f"{number:,}" if number else "·"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def _document(view: View) -> dict[str, Any]:
    return {
        "at": view.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "queues": [
            {
                "name": state.name,
                "waiting": dict(state.waiting),
                "delayed": state.delayed,
                "running": state.leased,
                "dead": state.dead,
                "oldest_age_s": state.oldest_age_s,
                "is_paused": state.is_paused,
            }
            for state in view.queues
        ],
        "syncing": list(_syncing_documents(view.syncing)),
        "processes": [{"id": one.id, "role": one.role, "state": one.state} for one in view.services],
        "incidents": [
            {"key": one.key, "severity": one.severity, "title": one.title} for one in view.incidents
        ],
    }


def _syncing_documents(syncing: Sequence[Syncing]) -> Iterator[dict[str, Any]]:
    for one in syncing:
        yield {
            "run_id": one.run.id,
            "name": one.name,
            "stage": one.at.stage if one.at else None,
            "done": one.at.done if one.at else None,
            "total": one.at.total if one.at else None,
        }
