"""`clubsync runs`: what was done, and to which records."""

from __future__ import annotations

import sys
import uuid

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
from sync.report import Run, RunState, StageReport

SHOWN_CHANGES = 200


@click.group()
def runs() -> None:
    """List and show runs."""


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
    for change in changes[:SHOWN_CHANGES]:
        click.echo(describe_change(change))
    if len(changes) > SHOWN_CHANGES:
        click.echo(f"… and {len(changes) - SHOWN_CHANGES} more (--json shows all)", file=sys.stderr)


@runs.command()
@click.argument("run_id", metavar="ID")
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Show what would be restored, and write nothing.")
@as_json
def undo(run_id: str, is_dry_run: bool, is_json: bool) -> None:
    """Restore what run ID changed; records that were edited since stay as they are."""
    backend = Backend()
    if is_dry_run:
        run, undone = None, backend.undo_run.plan(run_id)
    else:
        run, undone = backend.undo_run.perform(run_id, undo_id=uuid.uuid4().hex)
        backend.audit("runs_undo", f"run:{run_id}", {"undo_id": run.id})
    changes = [planned_document(change) for change in undone.changes]
    kept = [
        {"kind": record.kind.value, "record_id": record.record_id, "reason": record.reason}
        for record in undone.kept
    ]
    if is_json:
        print_json({**(run_document(run) if run else {}), "changes": changes, "kept": kept})
        return
    for change in changes[:SHOWN_CHANGES]:
        click.echo(describe_change(change))
    for record in kept[:SHOWN_CHANGES]:
        click.echo(f"= {record['kind']} {record['record_id']} stays: {record['reason']}")
    click.echo(
        f"{len(changes)} taken back, {len(kept)} left as they are" + (" (dry run)" if is_dry_run else "")
    )


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
    for change in changes[:SHOWN_CHANGES]:
        click.echo(describe_change(change))
    if len(changes) > SHOWN_CHANGES:
        click.echo(f"… and {len(changes) - SHOWN_CHANGES} more (--json shows all)", file=sys.stderr)


def written(stage: StageReport) -> int:
    """How many records the stage wrote."""
    return stage.created + stage.updated + stage.removed


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
