"""Waiting for a run: progress while it works, the verdict at the end."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import click

from cli.backend import Backend
from cli.output import describe_change, describe_run, print_json
from cli.platform import Ground
from cli.processes import worker_argv
from cli.simulation import needs_simulator, start_simulator
from cli.supervisor import STOP_MARGIN_S, Supervisor
from stores.sql.documents import change_document, run_document
from sync.errors import NotFound
from sync.report import Outcome, Run, RunState

POLL_S = 0.1
# How long a run may wait before somebody who watches is told why, and how often then.
WHY_AFTER_S = 3.0
WHY_EVERY_S = 5.0
SHOWN_CHANGES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    timeout_s: float
    is_json: bool
    note: str


def follow(backend: Backend, run_id: str, waiting: Waiting) -> bool:
    """Show the run until its verdict or the time-out; answers whether it succeeded."""
    if not waiting.is_json:
        click.echo(f"{waiting.note} {run_id}", err=True)
    run = _await_verdict(backend, run_id, waiting)
    document = run_document(run)
    changes = list(backend.changes_of(run.id)) if run.dry_run else []
    if waiting.is_json:
        print_json(
            {**document, "changes": [change_document(entry) for entry in changes]} if changes else document
        )
    else:
        click.echo(describe_run(document))
        for entry in changes[:SHOWN_CHANGES]:
            click.echo(describe_change(change_document(entry)))
        if len(changes) > SHOWN_CHANGES:
            click.echo(f"… and {len(changes) - SHOWN_CHANGES} more: clubsync runs show {run.id} --json")
    if not run.state.is_final:
        click.echo(
            f"clubsync: no verdict within {waiting.timeout_s:g} s; the run goes on by itself:"
            f" clubsync runs show {run.id}",
            err=True,
        )
    return run.outcome is Outcome.SUCCEEDED


@contextlib.contextmanager
def worker_at_hand(backend: Backend, ground: Ground) -> Iterator[None]:
    """Where no worker lives, one works for as long as this command waits."""
    from stores.redis.registry import Registry

    registry = Registry(backend.redis, backend.settings.redis.namespace, backend.clock)
    if any(service.role == "worker" for service in registry.list()) or not ground.is_redis_ours:
        yield
        return
    click.echo("no worker runs here: starting one for this command", err=True)
    logs = backend.settings.home / "log"
    logs.mkdir(parents=True, exist_ok=True)
    backdrop = Supervisor(dict(ground.environ), say=_say, log_dir=logs)
    environ = dict(ground.environ)
    if needs_simulator(backend.settings):
        environ |= start_simulator(backdrop)
    worker = Supervisor(environ, say=_say, log_dir=logs)
    worker.start("worker", worker_argv(backend.settings))
    try:
        yield
    finally:
        worker.stop(grace_s=backend.settings.worker.grace_s + STOP_MARGIN_S)
        backdrop.stop(grace_s=STOP_MARGIN_S)


def _await_verdict(backend: Backend, run_id: str, waiting: Waiting) -> Run:
    began_s = time.monotonic()
    deadline_s, next_why_s = began_s + waiting.timeout_s, began_s + WHY_AFTER_S
    shown = held_by = ""
    while True:
        with contextlib.suppress(NotFound):  # a message from the inbox gets its run when it starts
            run = backend.stores.runs.find(run_id)
            if run.state.is_final:
                return run
            is_queued = run.state is RunState.QUEUED and not waiting.is_json
            if is_queued and time.monotonic() >= next_why_s:
                held_by, next_why_s = _gate(backend, run), time.monotonic() + WHY_EVERY_S
            line = f"  queued: {held_by}" if is_queued and held_by else _progress_line(run)
            if not waiting.is_json and line != shown:
                click.echo(line, err=True)
                shown = line
            if time.monotonic() > deadline_s:
                return run
        time.sleep(POLL_S)


def _gate(backend: Backend, run: Run) -> str:
    """What holds a queued run up."""
    from cli.surroundings import outage

    return outage(backend) or backend.why.of_run(run).text


def _progress_line(run: Run) -> str:
    if run.state is RunState.DEFERRED and run.message:
        return f"  deferred: {run.message}"
    done = [
        stage.value
        for stage, report in run.stages.items()
        if report.outcome in (Outcome.SUCCEEDED, Outcome.PARTIAL)
    ]
    return f"  {run.state.value}{': ' + ', '.join(done) + ' done' if done else ''}"


def _say(name: str, line: str) -> None:
    print(f"{name}: {line}", file=sys.stderr)
