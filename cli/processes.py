"""The processes of the Procfile, each by its own command.

With a Redis at hand a command becomes its process (exec), so that the platform's signals
reach it directly. Without one, it starts the embedded server and stays beside the process.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.backend import load_settings
from cli.platform import grounded
from cli.supervisor import POLL_S, STOP_MARGIN_S, Supervisor, python_module, stop_on_signals

if TYPE_CHECKING:
    from settings.schema import Settings

# dramatiq's master hears no signal before its workers have started, by default for 30 s: a stop of one
# that waits for its database would not be heard within the grace period. Not much shorter, because
# it then looks for a second, busily, for what it forks; with us that is nothing.
DEAF_FOR_S = 5.0


@click.command()
def web() -> None:
    """Serve the HTTP API, health, metrics and the dashboard."""
    settings = load_settings()
    _become("web", web_argv(), settings)


@click.command()
def worker() -> None:
    """Carry out messages (dramatiq-gevent)."""
    settings = load_settings()
    _become("worker", worker_argv(settings), settings)


@click.command()
def scheduler() -> None:
    """Send batches and checks when they are due; several may run, one leads."""
    settings = load_settings()
    _become("scheduler", scheduler_argv(), settings)


@click.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_extra_args": True,
        "help_option_names": ["--no-help"],
    }
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulator(arguments: tuple[str, ...]) -> None:
    """Serve a provider, a CMS and a chat with invented data (options: `simulator --help`)."""
    argv = simulator_argv(*arguments)
    os.execv(argv[0], argv)  # noqa: S606 (our own module)


def web_argv() -> list[str]:
    return python_module("web")


def worker_argv(settings: Settings) -> list[str]:
    """Dramatiq's own command line; its time-out is in milliseconds."""
    return [
        str(Path(sys.executable).with_name("dramatiq-gevent")),
        "actors.worker:start",
        "--processes",
        str(settings.worker.processes),
        "--threads",
        str(settings.worker.greenlets),
        "--worker-shutdown-timeout",
        str(round(settings.worker.grace_s * 1000)),
        "--worker-fork-timeout",
        str(round(DEAF_FOR_S * 1000)),
        "--skip-logging",
    ]


def scheduler_argv() -> list[str]:
    return python_module("scheduler")


def simulator_argv(*arguments: str) -> list[str]:
    return python_module("simulator", *arguments)


def _become(name: str, argv: Sequence[str], settings: Settings) -> None:
    if settings.redis.url is not None:
        os.execv(argv[0], list(argv))  # noqa: S606 (our own command lines)
    with grounded(settings) as ground:
        if not ground.is_redis_ours:
            os.environ.update(ground.environ)
            os.execv(argv[0], list(argv))  # noqa: S606
        status = _stay_beside(name, argv, ground.environ, settings.worker.grace_s)
    sys.exit(status)


def _stay_beside(name: str, argv: Sequence[str], environ: Mapping[str, str], grace_s: float) -> int:
    should_stop = stop_on_signals()
    supervisor = Supervisor(environ, say=lambda _name, line: click.echo(line))
    child = supervisor.start(name, argv)
    while child.is_alive and not should_stop():
        time.sleep(POLL_S)
    supervisor.stop(grace_s=grace_s + STOP_MARGIN_S)
    return child.process.returncode
