"""`clubsync runs`: what was done, and to which records."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import click

from cli.backend import Backend
from cli.output import (
    STATE_COLOURS,
    ago,
    as_json,
    describe_change,
    describe_run,
    print_json,
    print_table,
)
from stores.sql.documents import change_document, planned_document, run_document
from stores.sql.runs import RunFilter
from sync.by_hand import Kept
from sync.changes import Change
from sync.errors import InvalidRequest
from sync.report import Run, RunState, StageReport

SHOWN_CHANGES = 200


def _by_hand(command: Any) -> Any:
    """The options of what a person decides."""
    for option in (
        as_json,
        click.option("--yes", "is_sure", is_flag=True, help="Do not ask."),
        click.option(
            "--dry-run", "is_dry_run", is_flag=True, help="Show what would be written; write nothing."
        ),
    ):
        command = option(command)
    return command


@click.group()
def runs() -> None:
    """Look at runs, take them back, and write what they held back."""


@runs.command(name="list")
@click.option("--account", "account_id", type=int, help="Of this account.")
@click.option("--state", type=click.Choice([state.value for state in RunState]))
@click.option("--batch", "batch_id", help="Of this batch.")
@click.option("--limit", default=20, show_default=True)
@as_json
def list_runs(
    account_id: int | None, state: str | None, batch_id: str | None, limit: int, is_json: bool
) -> None:
    """Show the latest runs, newest first."""
    wanted = RunFilter(account_id=account_id, state=RunState(state) if state else None, batch_id=batch_id)
    page = Backend().stores.runs.list(wanted, limit=limit)
    if is_json:
        print_json([run_document(run) for run in page.items])
        return
    print_table(
        ["run", "mode", "of", "preset", "state", "requested", "written", "seconds"],
        (_row(run) for run in page.items),
    )


@runs.command()
@click.argument("run_id", metavar="ID")
@as_json
def show(run_id: str, is_json: bool) -> None:
    """Show run ID with everything that it wrote, field by field."""
    backend = Backend()
    run = backend.stores.runs.find(run_id)
    changes = [change_document(entry) for entry in backend.changes_of(run_id)]
    if is_json:
        print_json({**run_document(run), "changes": changes})
        return
    click.echo(describe_run(run_document(run)))
    _print_changes([change for change in changes if change["applied"] or run.dry_run])
    if held := [change for change in changes if not (change["applied"] or run.dry_run)]:
        click.echo(f"held back; clubsync runs approve {run_id} writes:")
        _print_changes(held)


@runs.command()
@click.argument("run_id", metavar="ID")
@_by_hand
def undo(run_id: str, is_dry_run: bool, is_sure: bool, is_json: bool) -> None:
    """Restore what run ID changed; records that were edited since stay as they are."""
    backend = Backend()
    undone, run = backend.undo_run.plan(run_id), None
    if not is_json:
        _print_choice(undone.changes, undone.kept)
    if not is_dry_run:
        _ask(f"take back {len(undone.changes)} changes of run {run_id}?", is_sure=is_sure)
        run, undone = backend.undo_run.perform(run_id, undo_id=uuid.uuid4().hex)
        backend.audit("runs_undo", f"run:{run_id}", {"undo_id": run.id})
    if is_json:
        print_json(_choice_document(run, undone.changes, undone.kept))
    else:
        click.echo(_summary("taken back", undone.changes, undone.kept, run))


@runs.command()
@click.argument("run_id", metavar="ID")
@click.option("--hash", "plan_hash", metavar="H", help="Only if the plan still has this hash.")
@_by_hand
def approve(run_id: str, plan_hash: str | None, is_dry_run: bool, is_sure: bool, is_json: bool) -> None:
    """Write what the guard held back in run ID; records that changed since stay as they are."""
    backend = Backend()
    approval, run = backend.approval_run.plan(run_id, plan_hash=plan_hash), None
    if not is_json:
        _print_choice(approval.changes, approval.kept)
        click.echo(f"plan {approval.plan_hash}")
    if not is_dry_run:
        _ask(f"write {len(approval.changes)} changes that run {run_id} held back?", is_sure=is_sure)
        run, approval = backend.approval_run.perform(
            run_id, approval_id=uuid.uuid4().hex, plan_hash=approval.plan_hash
        )
        detail = {"approval_id": run.id, "plan_hash": approval.plan_hash}
        backend.audit("runs_approve", f"run:{run_id}", detail)
    if is_json:
        document = _choice_document(run, approval.changes, approval.kept)
        print_json({**document, "plan_hash": approval.plan_hash})
    else:
        click.echo(_summary("written", approval.changes, approval.kept, run))


@runs.command()
@click.argument("run_id", metavar="ID")
@as_json
def replay(run_id: str, is_json: bool) -> None:
    """Go through recorded run ID again offline, and show what it would write now."""
    from cli import replaying  # it brings the whole sync along

    run, planned = replaying.replay(Backend(), run_id)
    changes = [planned_document(change) for change in planned]
    if is_json:
        print_json({**run_document(run), "changes": changes})
        return
    click.echo(describe_run(run_document(run)))
    _print_changes(changes)


def written(stage: StageReport) -> int:
    """How many records the stage wrote."""
    return stage.created + stage.updated + stage.removed


def _ask(question: str, *, is_sure: bool) -> None:
    """Ask the person at the terminal; a program that calls has decided already."""
    if not is_sure and sys.stdin.isatty() and not click.confirm(question, err=True):
        raise InvalidRequest("nothing was written")


def _print_changes(changes: Sequence[Mapping[str, Any]]) -> None:
    for change in changes[:SHOWN_CHANGES]:
        click.echo(describe_change(change))
    if len(changes) > SHOWN_CHANGES:
        click.echo(f"… and {len(changes) - SHOWN_CHANGES} more (--json shows all)", file=sys.stderr)


def _print_choice(changes: Sequence[Change], kept: Sequence[Kept]) -> None:
    _print_changes([planned_document(change) for change in changes])
    for record in kept[:SHOWN_CHANGES]:
        click.echo(f"= {record.kind} {record.record_id} stays: {record.reason}")


def _choice_document(run: Run | None, changes: Sequence[Change], kept: Sequence[Kept]) -> dict[str, Any]:
    return {
        **(run_document(run) if run else {}),
        "changes": [planned_document(change) for change in changes],
        "kept": [
            {"kind": record.kind.value, "record_id": record.record_id, "reason": record.reason}
            for record in kept
        ],
    }


def _summary(done: str, changes: Sequence[Change], kept: Sequence[Kept], run: Run | None) -> str:
    by = f" by run {run.id}" if run else " (dry run)"
    return f"{len(changes)} {done}, {len(kept)} left as they are{by}"


def _row(run: Run) -> list[object]:
    subject = f"account {run.account_id}" if run.account_id else run.organisation_id
    state = f"[{STATE_COLOURS.get(run.state.value, 'white')}]{run.state.value}[/]"
    count = sum(written(stage) for stage in run.stages.values())
    return [
        run.id,
        run.mode.value,
        subject,
        run.preset + (" (dry run)" if run.dry_run else ""),
        state,
        ago(run.requested_at),
        count,
        run.duration_s,
    ]
