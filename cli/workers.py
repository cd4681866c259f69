"""`clubsync workers`: which processes live, and steering the workers among them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from cli.backend import Backend
from cli.output import ago, as_json, print_json
from cli.redis_group import RedisGroup
from cli.tables import print_table
from sync.errors import NotFound

if TYPE_CHECKING:
    from brokers.operations import Operations
    from brokers.states import WorkerState
    from stores.redis.registry import Service


@click.group(cls=RedisGroup, invoke_without_command=True)
@as_json
@click.pass_context
def workers(context: click.Context, is_json: bool) -> None:
    """Show every process with its role, host and heartbeat; quiet or stop a worker."""
    if context.invoked_subcommand is not None:
        return
    from stores.redis.registry import Registry

    backend = Backend()
    services = Registry(backend.redis, backend.settings.redis.namespace, backend.clock).list()
    states = _operations(backend).workers()
    if is_json:
        print_json(
            {"services": [_service(service) for service in services], "workers": [_worker(w) for w in states]}
        )
        return
    print_table(
        ["process", "state", "release", "settings", "started", "last beat", "load"],
        (
            [s.id, s.state, s.version, s.config_version, ago(s.started_at), ago(s.seen_at), _load(s)]
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
    if not _operations(backend).quiet(process, is_quiet=not is_off):
        raise NotFound(f"no worker has the id {process}; clubsync workers lists them")
    backend.audit("worker_woken" if is_off else "worker_quieted", f"worker:{process}", {})
    click.echo(f"{process} {'takes messages again' if is_off else 'takes nothing new'}")


@workers.command()
@click.argument("process", metavar="ID")
def stop(process: str) -> None:
    """Let worker ID finish what it holds and exit."""
    backend = Backend()
    process = _as_the_broker_names_it(backend, process)
    if not _operations(backend).stop(process):
        raise NotFound(f"no worker has the id {process}; clubsync workers lists them")
    backend.audit("worker_stopped", f"worker:{process}", {})
    click.echo(f"{process} finishes and exits")


def _as_the_broker_names_it(backend: Backend, process: str) -> str:
    """The broker's id of a worker that is given by either of its ids."""
    place = f"{process.removeprefix('worker:')}:"
    states = _operations(backend).workers()
    return next((one.process for one in states if one.process.startswith(place)), process)


def _operations(backend: Backend) -> Operations:
    from brokers.operations import Operations

    return Operations(backend.broker)


def _load(service: Service) -> str:
    return "  ".join(f"{what} {value:g}" for what, value in service.load.items())


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
