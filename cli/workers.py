"""`clubsync workers`: which processes live, and steering the workers among them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from brokers.operations import Operations
from brokers.states import WorkerState
from cli.backend import Backend
from cli.output import ago, as_json, print_json, print_table
from cli.redis_group import RedisGroup
from stores.redis.registry import Registry, Service
from sync.errors import NotFound


@click.group(cls=RedisGroup, invoke_without_command=True)
@as_json
@click.pass_context
def workers(context: click.Context, is_json: bool) -> None:
    """Show every process with its role, host and heartbeat; quiet or stop a worker."""
    if context.invoked_subcommand is not None:
        return
    backend = Backend()
    services = Registry(backend.redis, backend.settings.redis.namespace, backend.clock).list()
    states = Operations(backend.broker).workers()
    if is_json:
        print_json(
            {"services": [_service(service) for service in services], "workers": [_worker(w) for w in states]}
        )
        return
    print_table(
        ["process", "role", "state", "host", "pid", "version", "settings", "started", "last beat"],
        (
            [
                s.id,
                s.role,
                s.state,
                s.host,
                s.pid,
                s.version,
                s.config_version,
                ago(s.started_at),
                ago(s.seen_at),
            ]
            for s in services
        ),
    )
    if states:
        print_table(
            ["worker", "lease left s", "state"],
            ([w.process, w.lease_left_s, _word(w)] for w in states),
            title="\nWorkers as the broker knows them (quiet and stop take these ids)",
        )


@workers.command()
@click.argument("process", metavar="ID")
@click.option("--off", "is_off", is_flag=True, help="Let it take messages again.")
def quiet(process: str, is_off: bool) -> None:
    """Let worker ID finish what it holds and take nothing new."""
    backend = Backend()
    process = _as_the_broker_names_it(backend, process)
    if not Operations(backend.broker).quiet(process, is_quiet=not is_off):
        raise NotFound(f"no worker has the id {process}; clubsync workers lists them")
    backend.audit("worker_woken" if is_off else "worker_quieted", f"worker:{process}", {})
    click.echo(f"{process} {'takes messages again' if is_off else 'takes nothing new'}")


@workers.command()
@click.argument("process", metavar="ID")
def stop(process: str) -> None:
    """Let worker ID finish what it holds and exit."""
    backend = Backend()
    process = _as_the_broker_names_it(backend, process)
    if not Operations(backend.broker).stop(process):
        raise NotFound(f"no worker has the id {process}; clubsync workers lists them")
    backend.audit("worker_stopped", f"worker:{process}", {})
    click.echo(f"{process} finishes and exits")


def _as_the_broker_names_it(backend: Backend, process: str) -> str:
    """The broker's id of a worker that is given by either of its ids."""
    place = f"{process.removeprefix('worker:')}:"
    states = Operations(backend.broker).workers()
    return next((one.process for one in states if one.process.startswith(place)), process)


def _word(worker: WorkerState) -> str:
    return "stopping" if worker.is_stopping else "quiet" if worker.is_quiet else "working"


def _service(service: Service) -> dict[str, Any]:
    return {
        "id": service.id,
        "role": service.role,
        "host": service.host,
        "pid": service.pid,
        "version": service.version,
        "config_version": service.config_version,
        "state": service.state,
        "load": dict(service.load),
        "queues": list(service.queues),
        "queues_without_actor": list(service.queues_without_actor),
        "started_at": _text(service.started_at),
        "seen_at": _text(service.seen_at),
    }


def _worker(worker: WorkerState) -> dict[str, Any]:
    return {"id": worker.process, "lease_left_s": worker.lease_left_s, "state": _word(worker)}


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None
