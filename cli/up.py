"""`clubsync up`: the processes of the Procfile on one machine."""

from __future__ import annotations

import sys

import click

from cli.backend import load_settings, migrate_database
from cli.platform import grounded
from cli.processes import scheduler_argv, web_argv, worker_argv
from cli.simulation import needs_simulator, start_simulator
from cli.sockets import refuse_busy
from cli.supervisor import STOP_MARGIN_S, Supervisor, stop_on_signals

COLOURS = {"web": "cyan", "worker": "green", "scheduler": "yellow", "simulator": "magenta"}


@click.command()
def up() -> None:
    """Run web, worker and scheduler here until Ctrl-C; Redis and provider too, unless configured."""
    settings = load_settings()
    refuse_busy(settings.web.port)
    stop = stop_on_signals()
    with grounded(settings) as ground:
        migrate_database(settings)
        environ = dict(ground.environ)
        backdrop = Supervisor(environ, say=_say)
        if needs_simulator(settings):
            environ |= start_simulator(backdrop)

        def mind_redis() -> None:
            # Without it the others could hand nothing back.
            if ground.revive_redis():
                _say("redis", "ended by itself; started again with its data")

        processes = Supervisor(environ, say=_say, meanwhile=mind_redis)
        processes.start("web", web_argv())
        processes.start("worker", worker_argv(settings))
        processes.start("scheduler", scheduler_argv())
        _say("up", f"dashboard and API at http://{settings.web.host}:{settings.web.port}/ (Ctrl-C ends)")
        processes.watch(stop)
        _say("up", "stopping: nothing new is taken, running work finishes or is handed back")
        is_clean = processes.stop(grace_s=settings.worker.grace_s + STOP_MARGIN_S)
        backdrop.stop(grace_s=STOP_MARGIN_S)
    sys.exit(0 if is_clean else 1)


def _say(name: str, line: str) -> None:
    click.echo(f"{click.style(f'{name:<9} |', fg=COLOURS.get(name))} {line}")
