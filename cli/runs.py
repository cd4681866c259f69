"""`clubsync runs`: what was done, and to which records."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from cli.asking import ask
from cli.backend import Backend
from cli.output import STATE_COLOURS, ago, as_json, describe_change, describe_run, limit_option, print_json
from cli.tables import Painted, print_table
from stores.sql.documents import (
    act_document,
    change_document,
    decision_document,
    planned_document,
    progress_document,
    refusal_document,
    replay_document,
    run_document,
)
from sync.by_hand.approval import Decision
from sync.by_hand.run import Act, Choice
from sync.ports import Progressed
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
@limit_option(20)
@as_json
def list_runs(
    account_id: int | None, state: str | None, batch_id: str | None, limit: int, is_json: bool
) -> None:
    """Show the latest runs, newest first."""
    from stores.sql.runs import RunFilter

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
    refused = [refusal_document(refusal) for refusal in backend.stores.refusals.of_run(run_id)]
    progress = [] if run.state.is_final else backend.progress_of(run_id)
    if is_json:
        decision = backend.stores.decisions.find(run_id)
        decided = decision_document(decision) if decision else None
        document = {**run_document(run), "progress": [progress_document(event) for event in progress]}
        print_json({**document, "decision": decided, "changes": changes, "refused": refused})
        return
    click.echo(describe_run(run_document(run)))
    for event in progress:
        click.echo(_progress_line(event))
    _print_changes([change for change in changes if change["applied"] or run.dry_run])
    if held := [change for change in changes if not (change["applied"] or run.dry_run)]:
        click.echo(f"held back; clubsync runs approve {run_id} writes:")
        _print_changes(held)
    if refused:
        click.echo(f"refused by the CMS; clubsync runs retry {run_id} brings them there again:")
        for change in refused[:SHOWN_CHANGES]:
            click.echo(f"! {change['kind']} {change['record_id']} {change['action']}: {change['reason']}")
    if run.plan_hash is not None:
        click.echo(_decision_line(run, backend.stores.decisions.find(run_id)))


@runs.command()
@click.argument("run_id", metavar="ID")
@_by_hand
def undo(run_id: str, is_dry_run: bool, is_sure: bool, is_json: bool) -> None:
    """Restore what run ID changed; records that were edited since stay as they are."""
    backend = Backend()
    choice = backend.undo_run.plan(run_id)
    act = Act(run=None, choice=choice)
    if not is_json:
        _print_choice(choice)
    if not is_dry_run:
        ask(
            f"take back {len(choice.all_changes)} changes of run {run_id}?",
            is_sure=is_sure,
            otherwise="nothing was written",
        )
        act = backend.undo_run.undo(run_id)
        if act.run is not None:
            backend.audit("runs_undo", f"run:{run_id}", {"undo_id": act.run.id})
    if is_json:
        print_json(act_document(act))
    elif act.is_repeat:
        click.echo(f"nothing is left to take back of run {run_id}; {len(act.choice.kept)} stay as they are")
    else:
        click.echo(_summary("taken back", act))


@runs.command()
@click.argument("run_id", metavar="ID")
@click.option("--hash", "plan_hash", metavar="H", help="Only if the plan has this hash.")
@_by_hand
def approve(run_id: str, plan_hash: str | None, is_dry_run: bool, is_sure: bool, is_json: bool) -> None:
    """Write what waits of run ID: what its guards held back, or the plan of a dry run.

    Held changes whose records changed since stay as they are; of a dry run all is written,
    or nothing once a record has changed.
    """
    backend = Backend()
    proposal = backend.approval_run.plan(run_id, plan_hash=plan_hash)
    act = Act(run=None, choice=proposal.choice)
    if not is_json:
        _print_choice(proposal.choice)
        click.echo(f"plan {proposal.plan_hash}")
    if not is_dry_run:
        if proposal.decision is None:
            count = len(proposal.choice.all_changes)
            ask(
                f"write {count} changes that wait of run {run_id}?",
                is_sure=is_sure,
                otherwise="nothing was written",
            )
        act = backend.approval_run.approve(
            run_id, plan_hash=proposal.plan_hash, decided_by=f"cli:{getpass.getuser()}"
        )
        if act.run is not None and not act.is_repeat:
            detail = {"approval_id": act.run.id, "plan_hash": proposal.plan_hash}
            backend.audit("runs_approve", f"run:{run_id}", detail)
    if is_json:
        print_json({**act_document(act), "plan_hash": proposal.plan_hash})
    elif act.is_repeat and act.run is not None:
        by = f" by {proposal.decision.decided_by}" if proposal.decision else ""
        click.echo(f"approved already{by}: run {act.run.id} wrote it, nothing was written now")
    else:
        click.echo(_summary("written", act))


@runs.command()
@click.argument("run_id", metavar="ID")
@click.option("--hash", "plan_hash", metavar="H", help="Only if the plan has this hash.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@as_json
def reject(run_id: str, plan_hash: str | None, is_sure: bool, is_json: bool) -> None:
    """Decide that what waits of run ID is never written."""
    backend = Backend()
    proposal = backend.approval_run.plan(run_id, plan_hash=plan_hash)
    if proposal.decision is None:
        ask(
            f"reject plan {proposal.plan_hash} of run {run_id}?",
            is_sure=is_sure,
            otherwise="nothing was written",
        )
    decision = backend.approval_run.reject(
        run_id, plan_hash=proposal.plan_hash, decided_by=f"cli:{getpass.getuser()}"
    )
    if proposal.decision is None:
        backend.audit("runs_reject", f"run:{run_id}", {"plan_hash": proposal.plan_hash})
    if is_json:
        print_json(decision_document(decision))
    else:
        already = "already " if proposal.decision else ""
        click.echo(f"plan {decision.plan_hash} was {already}{decision.verdict} by {decision.decided_by}")


@runs.command()
@click.argument("run_id", metavar="ID")
@as_json
def retry(run_id: str, is_json: bool) -> None:
    """Bring to the CMS once more what it refused of run ID, after somebody mended why.

    It waits in the outbox like what a CMS that was away has not got: workers bring it there
    within seconds, as far as it still differs, and the run comes to its verdict anew.
    """
    backend = Backend()
    backend.stores.runs.find(run_id)
    count = backend.stores.refusals.retry(run_id)
    if count:
        backend.audit("runs_retry", f"run:{run_id}", {"count": count})
    if is_json:
        print_json({"run_id": run_id, "count": count})
    elif count:
        click.echo(f"{count} changes wait for the CMS again; clubsync runs show {run_id} tells how it went")
    else:
        click.echo(f"nothing that the CMS refused is left of run {run_id}")


@runs.command()
@click.argument("run_id", metavar="ID")
@as_json
def replay(run_id: str, is_json: bool) -> None:
    """Go through recorded run ID again offline: does it write what it wrote then?

    It reads what was stored when the run began, and writes nothing.
    """
    from providers.replaying import replay as replay_recorded  # it brings the providers along

    backend = Backend()
    recorded = backend.stores.runs.find(run_id)
    replayed = replay_recorded(
        recorded, settings=backend.settings, cms=backend.cms, past=backend.stores.changes
    )
    document = replay_document(replayed)
    if is_json:
        print_json(document)
        return
    click.echo(describe_run(document))
    _print_changes(document["changes"])
    if replayed.is_same:
        click.echo(f"the plan came out the same: {replayed.replayed_hash}")
        return
    click.echo(f"the plan came out differently: {replayed.replayed_hash}, then {replayed.recorded_hash}")
    for when, changes in (("then", replayed.only_recorded), ("now", replayed.only_replayed)):
        for change in changes[:SHOWN_CHANGES]:
            click.echo(f"  only {when}: {change.kind} {change.record_id} {change.action}")


def written(stage: StageReport) -> int:
    """How many records the stage wrote."""
    return stage.created + stage.updated + stage.removed


def _print_changes(changes: Sequence[Mapping[str, Any]]) -> None:
    for change in changes[:SHOWN_CHANGES]:
        click.echo(describe_change(change))
    if len(changes) > SHOWN_CHANGES:
        click.echo(f"… and {len(changes) - SHOWN_CHANGES} more (--json shows all)", file=sys.stderr)


def _decision_line(run: Run, decision: Decision | None) -> str:
    if decision is None:
        return f"plan {run.plan_hash} waits: clubsync runs approve {run.id}, or clubsync runs reject {run.id}"
    by_run = f", written by run {decision.act_id}" if decision.act_id else ""
    return f"plan {run.plan_hash} was {decision.verdict} by {decision.decided_by}{by_run}"


def _progress_line(event: Progressed) -> str:
    left = "" if event.eta_s is None or event.done == event.total else f", about {event.eta_s:.0f} s left"
    return f"{event.stage}: {event.done} of {event.total} done, {event.records:,} records read{left}"


def _print_choice(choice: Choice) -> None:
    _print_changes([planned_document(change) for change in choice.all_changes])
    for record in choice.kept[:SHOWN_CHANGES]:
        click.echo(f"= {record.kind} {record.record_id} stays: {record.reason}")


def _summary(done: str, act: Act) -> str:
    by = f" by run {act.run.id}" if act.run else " (dry run)"
    return f"{len(act.choice.all_changes)} {done}, {len(act.choice.kept)} left as they are{by}"


def _row(run: Run) -> list[object]:
    subject = f"account {run.account_id}" if run.account_id else run.organisation_id
    state = Painted(run.state.value, STATE_COLOURS.get(run.state.value, "white"))
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
