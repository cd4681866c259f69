"""The whole system on this machine, on invented data, in a minute.

Import sample accounts, let the scheduler sync them, do it once more (nothing to write),
change three things at the provider, and sync again (exactly those are written).
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from brokers.messages import parse
from cli.backend import Backend, load_settings, migrate_database
from cli.demo_progress import Progress
from cli.demo_report import show_changes, show_runs, written
from cli.demo_world import TAG, TENANT, DemoWorld
from cli.output import print_json
from cli.platform import Ground, grounded
from cli.processes import scheduler_argv, web_argv, worker_argv
from cli.simulation import start_simulator
from cli.sockets import free_port, is_listening, refuse_busy
from cli.supervisor import POLL_S, STOP_MARGIN_S, Supervisor, stop_on_signals
from settings.loader import load
from settings.schema import Settings
from stores.redis.batches import Batches, BatchState, progress
from stores.redis.registry import Registry
from stores.redis.schedule import RunNow, Schedule
from stores.sql.accounts import AccountFilter
from stores.sql.documents import change_document, run_document
from stores.sql.runs import RunFilter
from sync.errors import ConfigurationError
from sync.model import Account
from sync.report import Run, RunState

ENTRY = "demo"
INTERRUPTED = 130  # as a shell says of what Ctrl-C ended
NOTICES_TIMEOUT_S = 30.0
START_TIMEOUT_S = 30.0
PHASE_TIMEOUT_S = 120.0
# The simulator does not mind; the limits of a real provider and chat stay as they are in the defaults.
REQUESTS_PER_S = 400
CONCURRENCY = 16
MOST_PER_MINUTE = 10_000
# Whoever is configured for real must not hear of invented clubs; an empty variable is not set.
SILENT = {f"CLUBSYNC_NOTIFICATIONS__{key}": "" for key in ("SLACK__TOKEN", "MAIL__HOST", "WEBHOOK__URL")}


class Interrupted(Exception):
    """Ctrl-C or SIGTERM; everything is stopped on the way out."""


def show_demo(*, is_keeping: bool, is_json: bool) -> int:
    """Show everything once, and keep it running if that is asked for; answers the exit code."""
    should_stop = stop_on_signals()
    show = Show(is_json=is_json)
    settings = load(_demo_environ(load_settings())).settings
    is_good = True
    try:
        with grounded(settings) as ground, _running(settings, ground, should_stop, show) as stage:
            is_good = _perform(stage, show)
            if is_json:
                print_json(show.document)
            if is_keeping:
                _keep_running(stage, show, should_stop)
    except Interrupted:
        show.say("interrupted: everything was stopped")
        return INTERRUPTED
    return 0 if is_good else 1


@dataclass(slots=True)
class Show:
    """What the demo says, to people as it goes, to programs at the end."""

    is_json: bool
    document: dict[str, Any] = field(default_factory=lambda: {"runs": []})

    def say(self, line: str) -> None:
        click.echo(line, err=self.is_json)


@dataclass(frozen=True, slots=True)
class DemoStage:
    """The running system and the way to it."""

    backend: Backend
    world: DemoWorld
    processes: Supervisor
    web_address: str
    should_stop: Callable[[], bool]

    def wait(self, is_done: Callable[[], bool], *, what: str) -> None:
        """Raises Interrupted, or ConfigurationError when it takes too long."""
        deadline_s = time.monotonic() + PHASE_TIMEOUT_S
        while not is_done():
            if self.should_stop():
                raise Interrupted
            if time.monotonic() > deadline_s:
                raise ConfigurationError(f"{what} took longer than {PHASE_TIMEOUT_S:.0f} s; see the logs")
            time.sleep(POLL_S)


def _demo_environ(settings: Settings) -> Mapping[str, str]:
    """The user's environment, with the demo's provider and schedule instead of the configured ones."""
    return {
        **os.environ,
        "CLUBSYNC_HOME": str(_demo_home(settings).absolute()),
        "CLUBSYNC_PROVIDERS__PLAYHQ__TENANT": TENANT,
        "CLUBSYNC_PROVIDERS__PLAYHQ__REQUESTS_PER_S": str(REQUESTS_PER_S),
        "CLUBSYNC_PROVIDERS__PLAYHQ__CONCURRENCY": str(CONCURRENCY),
        "CLUBSYNC_NOTIFICATIONS__MOST_PER_MINUTE": str(MOST_PER_MINUTE),
        "CLUBSYNC_SCHEDULER__ENTRIES": '{"demo": {"cron": "0 1 * * *",'
        ' "filter": {"tags": ["demo"]}, "priority": "normal"}}',
    }


def _demo_home(settings: Settings) -> Path:
    """A home with accounts of the user's own is left alone."""
    if settings.database.url is None and (settings.home / "clubsync.sqlite3").exists():
        stores = Backend(settings).stores
        if stores.accounts.count(AccountFilter()) > stores.accounts.count(AccountFilter(tag=TAG)):
            return settings.home / "demo"
    return settings.home


@contextlib.contextmanager
def _running(
    settings: Settings, ground: Ground, should_stop: Callable[[], bool], show: Show
) -> Iterator[DemoStage]:
    """All processes, started and ready; stopped in order at the end."""
    logs = settings.home / "log"
    logs.mkdir(parents=True, exist_ok=True)
    port = _web_port(settings)
    environ = {**_demo_environ(settings), **ground.environ, "PORT": str(port)}
    migrate_database(settings)
    backend = Backend(settings, ground.redis_url)
    backdrop = Supervisor(environ, say=show_nothing, log_dir=logs)

    def say(name: str, line: str) -> None:
        show.say(f"{name}: {line}")

    def mind_redis() -> None:
        if ground.revive_redis():
            say("redis", "ended by itself; started again with its data")

    # Their own words are in their logs; that one crashed and was started again is told here.
    processes = Supervisor(environ, say=say, log_dir=logs, meanwhile=mind_redis)
    try:
        show.say(f"starting Valkey, SQLite, simulator, web, worker and scheduler (logs: {logs})")
        simulator = start_simulator(backdrop)
        chat = f"{simulator['CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL']}/slack/webhook/demo"
        processes.environ = {
            **environ,
            **simulator,
            **SILENT,
            "CLUBSYNC_NOTIFICATIONS__SLACK__WEBHOOK_URL": chat,
        }
        processes.start("web", web_argv())
        processes.start("worker", worker_argv(settings))
        processes.start("scheduler", scheduler_argv())
        registry = Registry(backend.redis, settings.redis.namespace, backend.clock)

        def is_ready() -> bool:
            if should_stop():
                raise Interrupted
            roles = {service.role for service in registry.list()}
            return roles >= {"worker", "scheduler"} and is_listening(port)

        processes.wait_until(is_ready, what="the system", timeout_s=START_TIMEOUT_S)
        yield DemoStage(
            backend,
            DemoWorld(simulator["CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL"]),
            processes,
            f"http://127.0.0.1:{port}",
            should_stop,
        )
    finally:
        processes.stop(grace_s=settings.worker.grace_s + STOP_MARGIN_S)
        backdrop.stop(grace_s=STOP_MARGIN_S)


def _perform(stage: DemoStage, show: Show) -> bool:
    """The three syncs; answers whether all went as promised."""
    accounts = _import_accounts(stage)
    clubs = sum(account.organisation.kind == "club" for account in accounts)
    show.say(f"imported {clubs} clubs and {len(accounts) - clubs} associations")

    first = _sync_all(stage, show, "first", "The scheduler syncs every account")
    second = _sync_all(stage, show, "unchanged", "The same once more")
    show.say(f"\nThe second sync wrote {written(second)} records.")

    association = next(account for account in accounts if account.organisation.kind == "association")
    asked = stage.world.make_changes(association.organisation.id)
    changed, wrote = _sync_one(stage, show, association)
    if not show.is_json:
        show_changes(asked, wrote)
    expected = {change["id"] for answer in asked for change in answer["changes"]}
    is_exact = expected <= {change["record_id"] for change in wrote}
    notices = stage.backend.stores.notices
    stage.processes.wait_until(
        lambda: not notices.due_channels(), what="the last notice", timeout_s=NOTICES_TIMEOUT_S
    )
    served = stage.world.served()
    sent = sum(run["requests"]["sent"] for run in show.document["runs"])
    show.document |= {
        "accounts": len(accounts),
        "second_sync_writes": written(second),
        "provider_changes": list(asked),
        "changes_written": list(wrote),
        "requests_sent": sent,
        "requests_served": served,
        "notifications": len(stage.world.chat()),
        "addresses": {"web": stage.web_address, "simulator": stage.world.address},
    }
    show.say(f"\nThe provider served {served} requests; the runs count {sent}.")
    runs = [*first, *second, changed]
    return all(run["outcome"] == "succeeded" for run in runs) and written(second) == 0 and is_exact


def _import_accounts(stage: DemoStage) -> Sequence[Account]:
    accounts = stage.backend.stores.accounts
    known = {account.organisation.id for account in accounts.each(AccountFilter(tag=TAG))}
    accounts.add_many([new for new in stage.world.sample_accounts() if new.organisation_id not in known])
    return list(accounts.each(AccountFilter(tag=TAG)))


def _sync_all(stage: DemoStage, show: Show, phase: str, title: str) -> Sequence[Mapping[str, Any]]:
    """Let the scheduler send the batch, and follow it to its end."""
    backend = stage.backend
    namespace = backend.settings.redis.namespace
    batches = Batches(backend.redis, namespace)
    request = RunNow(
        id=uuid.uuid4().hex, entry_id=ENTRY, requested_by="demo", requested_at=backend.clock.now()
    )
    Schedule(backend.redis, namespace).ask(request)
    runs: Sequence[Run] = []

    def is_done() -> bool:
        nonlocal runs
        batch = batches.find_or_none(request.id)
        if batch is None or batch.state is BatchState.SENDING:
            return False
        # Counted first: what is listed afterwards is at least as far.
        counts = backend.stores.runs.count_by_state(batch.id)
        runs = backend.stores.runs.list(RunFilter(batch_id=batch.id), limit=batch.total).items
        shown.show(runs, total=batch.total)
        return progress(batch, counts, backend.clock.now()).is_finished

    with Progress(title, is_quiet=show.is_json) as shown:
        stage.wait(is_done, what=title)
    documents = [run_document(run) for run in sorted(runs, key=lambda run: run.account_id or 0)]
    show.document["runs"] += [{**document, "phase": phase} for document in documents]
    if not show.is_json:
        accounts = backend.stores.accounts.each(AccountFilter(tag=TAG))
        show_runs(title, documents, {account.id: account.name for account in accounts})
    return documents


def _sync_one(
    stage: DemoStage, show: Show, account: Account
) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    backend = stage.backend
    actor = f"sync_{account.organisation.kind}"
    receipt = backend.publisher.send(
        parse({"actor": actor, "account_id": account.id, "priority": "urgent"}), requested_by="demo"
    )
    run_id = receipt.run_id or ""
    runs = backend.stores.runs
    stage.wait(lambda: runs.find(run_id).state in FINAL, what="the sync after the changes")
    document = {**run_document(runs.find(run_id)), "phase": "changed"}
    show.document["runs"].append(document)
    return document, [change_document(entry) for entry in backend.changes_of(run_id)]


def _keep_running(stage: DemoStage, show: Show, should_stop: Callable[[], bool]) -> None:
    home = stage.backend.settings.home
    show.say("\nEverything keeps running until Ctrl-C:")
    show.say(f"  dashboard and API   {stage.web_address}/")
    show.say(f"  simulated provider  {stage.world.address}/_simulator/stats")
    show.say(f"  simulated chat      {stage.world.address}/_simulator/chat")
    show.say(f"  command line        CLUBSYNC_HOME={home} .venv/bin/clubsync sync club 3 --wait")
    stage.processes.watch(should_stop)
    show.say("stopping: nothing new is taken, running work finishes or is handed back")


def _web_port(settings: Settings) -> int:
    """The configured port; a demo that was not told one takes another when it is busy."""
    port = settings.web.port
    if "PORT" in os.environ:
        refuse_busy(port)
    return free_port(port)


def show_nothing(name: str, line: str) -> None:
    """The children's own words are in their logs."""


FINAL = tuple(state for state in RunState if state.is_final)
