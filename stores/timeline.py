"""What happened around an account or a run, in one order: runs, changes, settings, notices, acts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import chain

from settings.versions import Version
from stores.sql.audit import AuditEntry
from stores.sql.changes import ChangeEntry
from stores.sql.notices import NoticeEntry
from stores.sql.runs import RunFilter
from stores.sql.stores import SqlStores
from sync.counting import counted
from sync.report import Run

# Of each kind; a page shows the newest of all of them.
LOOKED_AT = 30
_RUN = "run:"


class EventKind(StrEnum):
    RUN = "run"
    CHANGE = "change"
    SETTINGS = "settings"
    NOTICE = "notice"
    ACT = "act"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line; `run_id` is that of the run it is about, `state` that of a run."""

    at: datetime
    kind: EventKind
    text: str
    run_id: str | None = None
    state: str | None = None


def timeline_of_account(
    stores: SqlStores, account_id: int, versions: Iterable[Version], *, limit: int = LOOKED_AT
) -> Sequence[Event]:
    """The newest events of the account, newest first; of the settings, those since its oldest run."""
    runs = stores.runs.list(RunFilter(account_id=account_id), limit=limit).items
    changes = stores.changes.of_account(account_id, limit=limit).items
    since = min((run.requested_at for run in runs), default=None)
    settings = [version for version in versions if since is not None and version.at >= since]
    subjects = [f"account:{account_id}", *(_subject(run) for run in runs)]
    events = chain(
        chain.from_iterable(_of_run(run) for run in runs),
        map(_of_change, changes),
        map(_of_version, settings),
        _notices(stores.notices.of_runs([run.id for run in runs])),
        map(_of_act, stores.audit.about(subjects, limit=limit)),
    )
    return sorted(events, key=lambda event: event.at, reverse=True)[:limit]


def timeline_of_run(stores: SqlStores, run: Run) -> Sequence[Event]:
    """What happened to the run and because of it, oldest first."""
    acts = stores.audit.about([_subject(run)], limit=LOOKED_AT)
    events = list(chain(_of_run(run), _notices(stores.notices.of_run(run.id)), map(_of_act, acts)))
    for act in stores.runs.list(RunFilter(of_run_id=run.id), limit=LOOKED_AT).items:
        text = f"{act.preset} by run {act.id}: {counted(_written(act), 'record')} written"
        at = act.finished_at or act.requested_at
        events.append(Event(at=at, kind=EventKind.RUN, text=text, run_id=act.id, state=act.state.value))
    for refusal in stores.refusals.of_run(run.id)[:LOOKED_AT]:
        text = f"the CMS refused {refusal.change.kind} {refusal.change.record_id}: {refusal.reason}"
        events.append(Event(at=refusal.refused_at, kind=EventKind.CHANGE, text=text, run_id=run.id))
    decision = stores.decisions.find(run.id)
    if decision is not None:
        text = f"plan {decision.plan_hash} {decision.verdict} by {decision.decided_by}"
        events.append(Event(at=decision.at, kind=EventKind.ACT, text=text, run_id=decision.act_id))
    return sorted(events, key=lambda event: event.at)


def _of_run(run: Run) -> Iterator[Event]:
    what = f"{run.mode.value} sync, {run.preset}{', dry run' if run.dry_run else ''}"
    yield Event(at=run.requested_at, kind=EventKind.RUN, text=f"{what}: asked for", run_id=run.id)
    if run.started_at is not None:
        yield Event(at=run.started_at, kind=EventKind.RUN, text=f"{what}: begun", run_id=run.id)
    if run.finished_at is not None:
        told = f"; {run.message}" if run.message else ""
        yield Event(
            at=run.finished_at,
            kind=EventKind.RUN,
            text=f"{what}: {counted(_written(run), 'record')} written{told}",
            run_id=run.id,
            state=run.state.value,
        )


def _written(run: Run) -> int:
    return sum(stage.created + stage.updated + stage.removed for stage in run.stages.values())


def _of_change(entry: ChangeEntry) -> Event:
    change = entry.change
    fields = ", ".join(field.name for field in change.fields)
    text = f"{change.kind} {change.record_id} {change.action}{f': {fields}' if fields else ''}"
    if not entry.is_applied:
        text = f"{text} (planned only)"
    return Event(at=entry.at, kind=EventKind.CHANGE, text=text, run_id=entry.run_id)


def _of_version(version: Version) -> Event:
    text = f"settings version {version.number} by {version.author}: {version.reason}"
    return Event(at=version.at, kind=EventKind.SETTINGS, text=text)


def _notices(notices: Iterable[NoticeEntry]) -> Iterator[Event]:
    for notice in notices:
        if notice.settled_at is not None:
            text = f"{notice.event} to {notice.channel}: {notice.state}"
            yield Event(at=notice.settled_at, kind=EventKind.NOTICE, text=text, run_id=notice.run_id)


def _subject(run: Run) -> str:
    """How the audit names the run."""
    return f"{_RUN}{run.id}"


def _of_act(line: AuditEntry) -> Event:
    text = f"{line.actor} ({line.source}): {line.action.replace('_', ' ')}"
    subject = line.subject or ""
    run_id = subject.removeprefix(_RUN) if subject.startswith(_RUN) else None
    return Event(at=line.at, kind=EventKind.ACT, text=text, run_id=run_id)
