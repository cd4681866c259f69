"""`clubsync config`: what is configured, whether it can be, and how it changes."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

import click

from cli import versions
from cli.canary import canary
from cli.output import as_json, print_json
from cli.tables import Painted, print_table

FAILED = 1
WRONG_USE = 2

if TYPE_CHECKING:
    from cli.connections import Found


@click.group()
def config() -> None:
    """Check, show and change the settings."""


for command in (versions.history, versions.show_difference, versions.change, versions.rollback, canary):
    config.add_command(command)


@config.command()
@click.option("--connect", "is_connecting", is_flag=True, help="Reach everything that they name, too.")
@click.option("--timeout", "timeout_s", default=10.0, show_default=True, help="Seconds for each of it.")
@as_json
def check(is_connecting: bool, timeout_s: float, is_json: bool) -> None:
    """Report every mistake of every layer at once; exit 2 if there is one.

    --connect reaches Redis, SQL, the CMS, each provider, proxy and channel, and tells nobody
    anything; exit 1 if one fails.
    """
    from settings.loader import InvalidSettings, load

    try:
        loaded = load()
    except InvalidSettings as error:
        if not is_json:
            raise
        print_json({"valid": False, "problems": [dataclasses.asdict(one) for one in error.problems]})
        sys.exit(WRONG_USE)
    document: dict[str, Any] = {"valid": True, "version": loaded.fingerprint}
    if not is_json:
        click.echo(f"the settings are valid (version {loaded.fingerprint})")
    if is_connecting:
        found = _connect(timeout_s)
        document["connections"] = [dataclasses.asdict(one) for one in found]
        if not is_json:
            rows = (
                [one.name, "ok" if one.is_good else Painted("ACT", "red"), one.value, one.advice]
                for one in found
            )
            print_table(["connection", "", "found", "what would be right"], rows)
    if is_json:
        print_json(document)
    if is_connecting and not all(one.is_good for one in found):
        sys.exit(FAILED)


def _connect(timeout_s: float) -> list[Found]:
    from cli.connections import connections, reach_all
    from settings.loader import load

    return reach_all(connections(load(overrides=versions.live_overrides()).settings, timeout_s), timeout_s)


@config.command()
@click.option("--origin", "with_origin", is_flag=True, help="Say where each value comes from.")
@as_json
def show(with_origin: bool, is_json: bool) -> None:
    """Show what is in force, live changes among it if Redis can be asked; secrets are masked."""
    from settings.documents import describe
    from settings.loader import load, masked

    loaded = load(overrides=versions.live_overrides())
    if is_json:
        values = masked(loaded.settings)
        print_json({"values": values, "origins": dict(loaded.origins)} if with_origin else values)
        return
    columns = ["setting", "value", "origin"] if with_origin else ["setting", "value"]
    print_table(columns, ([row.key, row.value, row.origin][: len(columns)] for row in describe(loaded)))
