"""The `clubsync` command: exit 0 good, 1 failed, 2 wrong use; no traceback for a user's mistake."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping

import click

from sync.errors import ConfigurationError, InvalidRequest, SyncError

# Command -> module; each is imported when it is called, because redis and SQLAlchemy
# take longer to import than most commands take to run.
COMMANDS: Mapping[str, str] = {
    "demo": "cli.demo",
    "up": "cli.up",
    "web": "cli.processes",
    "worker": "cli.processes",
    "scheduler": "cli.processes",
    "simulator": "cli.processes",
    "migrate": "cli.migrate",
    "sync": "cli.syncs",
    "onboard": "cli.syncs",
    "update": "cli.syncs",
    "batch": "cli.batch",
    "accounts": "cli.accounts",
    "export": "cli.export",
    "runs": "cli.runs",
    "queues": "cli.queues",
    "dead": "cli.dead",
    "workers": "cli.workers",
    "config": "cli.config",
    "schedule": "cli.schedule",
    "audit": "cli.audit",
    "plugins": "cli.plugins",
    "status": "cli.status",
    "alerts": "cli.alerts",
    "notices": "cli.notices",
    "doctor": "cli.doctor",
    "top": "cli.top",
    "tokens": "cli.tokens",
}

HELP = """Keeps sports clubs and associations in step with their data provider.

\b
Try it:            clubsync demo
Run it here:       clubsync up
Ask for a sync:    clubsync sync club 3 --wait
See what it did:   clubsync runs list
"""
WRONG_USE = 2
INTERRUPTED = 130


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return super().get_command(ctx, cmd_name)
        command = getattr(importlib.import_module(module), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{cmd_name} is not a command")
        return command


@click.group(
    cls=_LazyGroup,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="clubsync")
def clubsync() -> None:
    pass


def main() -> None:
    """Run the command line and exit."""
    try:
        status = clubsync(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (ConfigurationError, InvalidRequest) as error:
        _complain(error)
        sys.exit(WRONG_USE)
    except SyncError as error:
        _complain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output (`| head`) has what it wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)


def _complain(error: Exception) -> None:
    click.echo(f"clubsync: {error}", err=True)


if __name__ == "__main__":
    main()
