"""`clubsync config history|diff|set|rollback`: numbered settings, changed while everything runs."""

from __future__ import annotations

import getpass
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from cli.output import as_json, print_json, print_table
from settings.loader import InvalidSettings
from settings.versions import Difference, Version, diff
from sync.errors import ConfigurationError, InvalidRequest, StoreUnavailable

if TYPE_CHECKING:
    from cli.backend import Backend
    from stores.redis.versions import RedisVersions

# A running process looks once a second.
ACKNOWLEDGED_WITHIN_S = 4.0
POLL_S = 0.2

expected_version = click.option(
    "--if-version", "expected", type=int, help="Refuse unless this version is in force."
)
preview_only = click.option("--preview", is_flag=True, help="Show what would change; change nothing.")


@click.command()
@click.option("--limit", default=20, show_default=True)
@as_json
def history(limit: int, is_json: bool) -> None:
    """List the accepted versions, newest first."""
    _, versions = _open()
    found = versions.history(limit)
    rows = [
        {
            "version": version.number,
            "at": version.at,
            "author": version.author,
            "reason": version.reason,
            "changed": len(diff(before, version)) if before else len(version.values),
        }
        for version, before in zip(found, [*found[1:], None], strict=True)
    ]
    if is_json:
        print_json(rows)
        return
    columns = ["version", "at", "author", "changed", "reason"]
    print_table(columns, ([row[column] for column in columns] for row in rows))


@click.command(name="diff")
@click.argument("before", type=int)
@click.argument("after", type=int)
@as_json
def show_difference(before: int, after: int, is_json: bool) -> None:
    """Show what differs from version BEFORE to version AFTER."""
    _, versions = _open()
    _print_differences(diff(versions.find(before), versions.find(after)), is_json=is_json)


@click.command(name="set")
@click.argument("assignments", nargs=-1, metavar="KEY=VALUE...")
@click.option("--unset", multiple=True, metavar="KEY", help="Drop what was set live.")
@click.option("--reason", default="", help="Why; it is kept with the version.")
@expected_version
@preview_only
@as_json
def change(
    assignments: tuple[str, ...],
    unset: tuple[str, ...],
    reason: str,
    expected: int | None,
    preview: bool,
    is_json: bool,
) -> None:
    """Change settings in all running processes, as in `config set logging.level=debug`."""
    backend, versions = _open()
    values = _read(assignments)
    if not values and not unset:
        raise InvalidRequest("config set: name what to change, as logging.level=debug, or --unset KEY")
    from stores.redis.versions import open_history

    kept = open_history(versions, backend.clock.now)
    newest = versions.newest()
    if preview:
        _print_differences(diff(newest, kept.preview(values, unset=unset)), is_json=is_json)
        return
    version = kept.change(values, unset=unset, author=getpass.getuser(), reason=reason, expected=expected)
    _report(backend, versions, newest, version, is_json=is_json)


@click.command()
@click.argument("number", type=int)
@expected_version
@preview_only
@as_json
def rollback(number: int, expected: int | None, preview: bool, is_json: bool) -> None:
    """Restore version NUMBER as a new one."""
    backend, versions = _open()
    from stores.redis.versions import open_history

    kept = open_history(versions, backend.clock.now)
    newest = versions.newest()
    if preview:
        _print_differences(diff(newest, kept.preview_rollback(number)), is_json=is_json)
        return
    version = kept.rollback(number, author=getpass.getuser(), expected=expected)
    _report(backend, versions, newest, version, is_json=is_json)


def live_overrides() -> Mapping[str, Any]:
    """What is set live; nothing when no Redis is configured here, or it does not answer."""
    try:
        _, versions = _open()
        newest = versions.newest()
    except InvalidSettings:
        raise
    except (ConfigurationError, StoreUnavailable):
        return {}
    return newest.overrides if newest else {}


def _open() -> tuple[Backend, RedisVersions]:
    from cli.backend import Backend  # redis-py takes a third of a second, which --help need not pay
    from stores.redis.versions import RedisVersions

    backend = Backend()
    return backend, RedisVersions(backend.redis, backend.settings.redis.namespace)


def _read(assignments: Sequence[str]) -> dict[str, str]:
    if wrong := [text for text in assignments if "=" not in text]:
        raise InvalidRequest(f"config set: {wrong[0]!r} should be KEY=VALUE")
    pairs = (text.split("=", 1) for text in assignments)
    return {key.strip().lower(): value for key, value in pairs}


def _report(
    backend: Backend, versions: RedisVersions, before: Version | None, version: Version, *, is_json: bool
) -> None:
    differences = diff(before, version)
    backend.audit(
        "config_changed",
        str(version.number),
        {"reason": version.reason, "keys": [one.key for one in differences]},
    )
    said = _wait_for_answers(backend, versions, version.number)
    if is_json:
        print_json(
            {"version": version.number, "changed": [_document(one) for one in differences], "processes": said}
        )
        return
    _print_differences(differences, is_json=False)
    click.echo(f"version {version.number} is in force")
    for one in said:
        print_process(one)


def print_process(said: Mapping[str, Any]) -> None:
    """One line of what a process says about a version."""
    verdict = "takes it over" if said["accepted"] else f"refuses it: {said['reason']}"
    restart = f"; restart it for {', '.join(said['restart_for'])}" if said["restart_for"] else ""
    click.echo(f"  {said['process']} {verdict}{restart}")


def _wait_for_answers(backend: Backend, versions: RedisVersions, number: int) -> list[dict[str, Any]]:
    """What each process that follows the settings says, given a moment to say it."""
    end = time.monotonic() + ACKNOWLEDGED_WITHIN_S
    living = _living(backend)
    while True:
        said = [one for one in versions.acknowledgements(backend.clock.now()) if one.process in living]
        if all(one.version >= number for one in said) or time.monotonic() > end:
            break
        time.sleep(POLL_S)
    return [
        {
            "process": one.process,
            "accepted": one.is_accepted and one.version >= number,
            "reason": one.reason or (None if one.version >= number else "no answer yet"),
            "restart_for": list(one.restart_for),
        }
        for one in said
    ]


def _living(backend: Backend) -> set[str]:
    from stores.redis.registry import Registry

    registry = Registry(backend.redis, backend.settings.redis.namespace, backend.clock)
    return {service.id for service in registry.list()}


def _print_differences(differences: Sequence[Difference], *, is_json: bool) -> None:
    if is_json:
        print_json([_document(one) for one in differences])
    elif not differences:
        click.echo("nothing differs")
    else:
        rows = ([one.key, repr(one.before), repr(one.after)] for one in differences)
        print_table(["setting", "before", "after"], rows)


def _document(one: Difference) -> dict[str, Any]:
    return {"key": one.key, "before": one.before, "after": one.after}
