"""Runs, accounts, changes and incidents as the JSON documents that other programs read.

Times are ISO 8601 in UTC with Z. The shapes are stable; further keys may follow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from stores.sql.records import field_documents, to_document
from sync.by_hand.approval import Decision
from sync.by_hand.replay import Replayed
from sync.by_hand.run import Act
from sync.changes import Change
from sync.delivery.outbox import Refusal
from sync.incident import Incident
from sync.model import Account, Record
from sync.ports import Progressed
from sync.report import Run

if TYPE_CHECKING:
    from stores.sql.changes import ChangeEntry  # SQLAlchemy takes longer to import than most commands to run


def run_document(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "mode": run.mode.value,
        "account_id": run.account_id,
        "organisation_id": run.organisation_id,
        "provider": run.provider,
        "batch_id": run.batch_id,
        "of_run_id": run.of_run_id,
        "preset": run.preset,
        "state": run.state.value,
        "outcome": run.outcome and run.outcome.value,
        "delivery": run.delivery and run.delivery.value,
        "dry_run": run.dry_run,
        "requested_at": msgspec.to_builtins(run.requested_at),
        "started_at": msgspec.to_builtins(run.started_at),
        "finished_at": msgspec.to_builtins(run.finished_at),
        "duration_s": run.duration_s,
        "config_version": run.config_version,
        "stages": msgspec.to_builtins(run.stages),
        "requests": msgspec.to_builtins(run.requests),
        "holds": msgspec.to_builtins(run.holds),
        "plan_hash": run.plan_hash,
        "message": run.message,
        "cause": run.cause and run.cause.value,
    }


def progress_document(event: Progressed) -> dict[str, Any]:
    """How far a stage is: units done of total, records read by then, and what the rest takes."""
    return {
        "stage": event.stage.value,
        "done": event.done,
        "total": event.total,
        "records": event.records,
        "eta_s": event.eta_s,
    }


def decision_document(decision: Decision) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(decision)
    return document


def act_document(act: Act) -> dict[str, Any]:
    """The run that wrote what was chosen by hand, and what stayed as it is."""
    return {
        **(run_document(act.run) if act.run else {}),
        "is_repeat": act.is_repeat,
        "changes": [planned_document(change) for change in act.choice.all_changes],
        "kept": [
            {"kind": kept.kind.value, "record_id": kept.record_id, "reason": kept.reason}
            for kept in act.choice.kept
        ],
    }


def replay_document(replayed: Replayed) -> dict[str, Any]:
    """How a recorded run ends this time, and whether it would write the same."""
    return {
        **run_document(replayed.run),
        "is_same": replayed.is_same,
        "recorded_hash": replayed.recorded_hash,
        "replayed_hash": replayed.replayed_hash,
        "only_recorded": [planned_document(change) for change in replayed.only_recorded],
        "only_replayed": [planned_document(change) for change in replayed.only_replayed],
        "changes": [planned_document(change) for change in replayed.changes],
    }


def account_document(account: Account) -> dict[str, Any]:
    organisation = account.organisation
    return {
        "id": account.id,
        "type": organisation.kind.value,
        "name": account.name,
        "provider": organisation.provider,
        "organisation_id": organisation.id,
        "organisation_name": organisation.name,
        "association_ids": list(organisation.association_ids),
        "plan": account.plan,
        "tags": list(account.tags),
        "is_setup": account.is_setup,
        "is_updating": account.is_updating,
    }


def change_document(entry: ChangeEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "run_id": entry.run_id,
        "stage": entry.stage.value,
        **planned_document(entry.change),
        "applied": entry.is_applied,
        "at": msgspec.to_builtins(entry.at),
    }


def planned_document(change: Change) -> dict[str, Any]:
    """A change that nobody has written yet."""
    return {
        "kind": change.kind.value,
        "record_id": change.record_id,
        "action": change.action.value,
        "fields": field_documents(change.fields),
        "before": _record_document(change.before),
        "after": _record_document(change.after),
        "cause": change.cause,
    }


def refusal_document(refusal: Refusal) -> dict[str, Any]:
    """A change that the CMS refused when it was brought there."""
    return {
        "run_id": refusal.run_id,
        "stage": refusal.stage.value,
        **planned_document(refusal.change),
        "reason": refusal.reason,
        "refused_at": msgspec.to_builtins(refusal.refused_at),
    }


def _record_document(record: Record | None) -> dict[str, Any] | None:
    return None if record is None else to_document(record)


def incident_document(incident: Incident) -> dict[str, Any]:
    """An incident that was opened, with the alerts that are open now."""
    return {
        "id": incident.id,
        "subject": incident.key,
        "severity": incident.severity.value,
        "state": "open" if incident.is_open else "resolved",
        "party": incident.party and incident.party.value,
        "what": incident.title,
        "count": incident.count,
        "flaps": incident.flaps,
        "opened_at": msgspec.to_builtins(incident.opened_at),
        "seen_at": msgspec.to_builtins(incident.seen_at),
        "resolved_at": msgspec.to_builtins(incident.resolved_at),
        "alerts": [
            {
                "kind": alert.kind,
                "severity": alert.severity.value,
                "what": alert.what,
                "step": alert.step,
                "since": msgspec.to_builtins(alert.since),
            }
            for alert in incident.alerts
            if alert.is_open
        ],
    }
