"""`clubsync notices`: what was told to whom, what waits, which channels take it, and how it would read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.backend import Backend
from cli.output import ago, as_json, limit_option, print_json
from cli.tables import print_table
from settings.events import EVENTS
from sync.errors import InvalidRequest

if TYPE_CHECKING:
    from notifications.notice import Notice

STATES = click.Choice(["waiting", "sending", "sent", "merged", "refused", "expired", "left"])


@click.group()
def notices() -> None:
    """What was told, what waits, and how a notice reads."""


@notices.command("list")
@click.option("--channel", help="Of this channel.")
@click.option("--state", type=STATES)
@limit_option(50)
@as_json
def list_notices(channel: str | None, state: str | None, limit: int, is_json: bool) -> None:
    """List notices, the latest first, with what became of them."""
    from stores.sql.notices import NoticeState

    wanted = NoticeState(state) if state else None
    found = Backend().stores.notices.list(limit=limit, channel=channel, state=wanted).items
    if is_json:
        print_json(
            [
                {
                    "key": entry.key,
                    "channel": entry.channel,
                    "event": entry.event,
                    "severity": entry.severity.value,
                    "run_id": entry.run_id,
                    "subject": entry.subject,
                    "state": entry.state.value,
                    "created_at": entry.created_at.isoformat().replace("+00:00", "Z"),
                    "reference": entry.reference,
                    "reason": entry.reason,
                }
                for entry in found
            ]
        )
        return
    print_table(
        ["made", "channel", "event", "state", "subject", "reference or reason"],
        ([ago(e.created_at), e.channel, e.event, e.state, e.subject, e.reference or e.reason] for e in found),
    )


@notices.command()
@as_json
def channels(is_json: bool) -> None:
    """List the channels: which are on, which were switched off and why, and how many notices wait."""
    from notifications.registry import open_channels
    from notifications.switches import still_off

    backend = Backend()
    settings = backend.in_force.notifications
    installed = open_channels(settings)
    off = still_off(backend.channel_turns.switched_off(), settings)
    waiting = backend.stores.notices.due_channels()
    states: dict[str, tuple[str, str | None]] = dict.fromkeys(installed.opened, ("on", None))
    states |= dict.fromkeys(installed.unconfigured, ("not configured", None))
    states |= {name: ("broken", reason) for name, reason in installed.broken.items()}
    # What has notices but no package is opened by the CMS, or was uninstalled.
    states |= {name: ("on", None) for name in waiting if name not in states}
    states |= {name: ("off", one.reason) for name, one in off.items()}
    shown: list[dict[str, Any]] = [
        {
            "name": name,
            "state": state,
            "since": off[name].at if name in off else None,
            "reason": reason,
            "waiting": waiting.get(name, 0),
        }
        for name, (state, reason) in sorted(states.items())
    ]
    if is_json:
        print_json(shown)
        return
    print_table(
        ["channel", "state", "since", "waiting", "reason"],
        (
            [one["name"], one["state"], one["since"] and ago(one["since"]), one["waiting"], one["reason"]]
            for one in shown
        ),
    )


@notices.command("switch-on")
@click.argument("channel")
def switch_on(channel: str) -> None:
    """Tell CHANNEL again, which was switched off because it answered 410 Gone; what waits is told, too."""
    backend = Backend()
    if not backend.channel_turns.switch_on(channel):
        raise InvalidRequest(f"{channel} is not switched off; `clubsync notices channels` lists which are")
    backend.audit("channel_switched_on", f"channel:{channel}", {})
    click.echo(f"{channel} is on; what waits for it is told within {backend.in_force.alerts.every_s:g} s")


@notices.command()
@click.argument("event", type=click.Choice(EVENTS), required=False)
@click.option("--run", "run_id", help="Of this finished run, instead of an invented one.")
@click.option("--channel", default="slack", show_default=True)
def preview(event: str | None, run_id: str | None, channel: str) -> None:
    """Show how EVENT reads in a channel, in the words of the templates; nothing is sent."""
    from notifications.notice import event_of, notice_of
    from notifications.samples import sample
    from notifications.templates import worded

    backend = Backend()
    notice: Notice
    if run_id is not None:
        run = backend.stores.runs.find(run_id)
        if not run.state.is_final:
            raise click.UsageError(f"run {run_id} has not ended; it is {run.state.value}")
        name = backend.stores.accounts.find_name(run.account_id) if run.account_id is not None else None
        notice = notice_of(run, name=name)
        if event not in (None, event_of(run)):
            raise click.UsageError(f"run {run_id} ended as {event_of(run)}, not as {event}")
    elif event is None:
        raise click.UsageError(f"name an event, one of {', '.join(EVENTS)}, or a --run")
    else:
        notice = sample(event, backend.clock.now())
    told = worded(notice, channel, backend.settings.notifications.templates)
    click.echo(f"to {channel}: {told.subject}\n\n{told.text}")
