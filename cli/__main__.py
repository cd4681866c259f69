"""The `clubsync` command: exit 0 good, 1 failed, 2 wrong use; no traceback for a user's mistake."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Mapping

import click
from click.shell_completion import CompletionItem

from sync.errors import ConfigurationError, InvalidRequest, SyncError

# Each module is imported when its command is called: what it works with takes longer to import
# than most commands take to run. So the list of commands has its own line about each.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("cli.demo", "Show the main job, end to end, on a simulated provider."),
    "up": ("cli.up", "Run web, worker and scheduler on this machine until Ctrl-C."),
    "web": ("cli.processes", "Serve the HTTP API, health, metrics and the dashboard."),
    "worker": ("cli.processes", "Carry out messages (dramatiq-gevent)."),
    "scheduler": ("cli.processes", "Send batches and checks when they are due."),
    "simulator": ("cli.processes", "Serve a provider, a CMS and a chat with invented data."),
    "migrate": ("cli.migrate", "Bring the database's tables up to date."),
    "sync": ("cli.syncs", "Sync a club or an association."),
    "onboard": ("cli.syncs", "First sync of an account; a complete one lets the customer in."),
    "update": ("cli.syncs", "Refresh an account on demand, while its customer waits."),
    "batch": ("cli.batch", "Sync every account that the filters leave."),
    "accounts": ("cli.accounts", "List, add, import and show accounts; why one is not synced."),
    "export": ("cli.export", "Print what is stored for a club or an association."),
    "runs": ("cli.runs", "Look at runs, take them back, and write what they held back."),
    "queues": ("cli.queues", "Show the queues; pause, resume or purge one."),
    "dead": ("cli.dead", "List, show, retry and delete dead letters."),
    "workers": ("cli.workers", "Show every process; quiet or stop a worker."),
    "config": ("cli.config", "Check, show and change the settings."),
    "schedule": ("cli.schedule", "List, run, pause and resume entries."),
    "audit": ("cli.audit", "Show who did what, the latest first."),
    "plugins": ("cli.plugins", "List what packages add, and whether it works."),
    "status": ("cli.status", "Say whether the system works; exit 1 if it does not."),
    "alerts": ("cli.alerts", "List open incidents, the latest first."),
    "notices": ("cli.notices", "What was told, what waits, and how a notice reads."),
    "doctor": ("cli.doctor", "Find what is wrong, explain it and say the mend."),
    "top": ("cli.top", "Watch queues, running syncs, processes and incidents live."),
    "tokens": ("cli.tokens", "Make, list and revoke tokens of the HTTP API."),
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
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{cmd_name} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        return [
            *(CompletionItem(name, help=COMMANDS[name][1]) for name in names),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]


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
        _drop_output()
        sys.exit(0)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _drop_output()
        click.echo(f"clubsync: the disk has no space left for {error.filename or 'the output'}", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _drop_output() -> None:
    """Let what is left in the buffer go nowhere, so that the interpreter's end does not try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(error: Exception) -> None:
    click.echo(f"clubsync: {error}", err=True)


if __name__ == "__main__":
    main()
