"""`clubsync config history|diff|set|rollback`: numbered settings, changed while everything runs."""

from __future__ import annotations

import getpass
import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from cli.canary import describe_trial, trial_document
from cli.durations import read_duration_s
from cli.output import as_json, limit_option, moment, print_json
from cli.tables import print_table
from sync.errors import ConfigurationError, InvalidRequest, StoreUnavailable

if TYPE_CHECKING:
    from cli.backend import Backend
    from settings.canary import Trial
    from settings.live import ProcessRole
    from settings.versions import Difference, Version
    from stores.redis.versions import RedisVersions

# A running process looks once a second.
ACKNOWLEDGED_WITHIN_S = 4.0
POLL_S = 0.2

expected_version = click.option(
    "--if-version", "expected", type=int, help="Refuse unless this version is in force."
)
preview_only = click.option("--preview", is_flag=True, help="Show what would change; change nothing.")


@click.command()
@limit_option(20)
@as_json
def history(limit: int, is_json: bool) -> None:
    """List the accepted versions, newest first."""
    from settings.versions import diff

    _, versions = open_versions()
    known = {version.number: version for version in versions.history(limit + 1)}
    found = list(known.values())[:limit]
    standing = _Standing(versions)
    documents = [
        {
            "version": version.number,
            "state": standing.of(version.number),
            "at": version.at,
            "author": version.author,
            "reason": version.reason,
            "changed": len(diff(known.get(version.earlier), version)),
        }
        for version in found
    ]
    if is_json:
        print_json(documents)
        return
    print_table(
        ["version", "state", "at (UTC)", "author", "changed", "reason"],
        (
            [one["version"], one["state"], moment(version.at), one["author"], one["changed"], one["reason"]]
            for one, version in zip(documents, found, strict=True)
        ),
    )


class _Standing:
    """What became of each version."""

    def __init__(self, versions: RedisVersions) -> None:
        self._in_force = versions.in_force_number()
        self._trial = versions.trial()
        self._endings = versions.endings()

    def of(self, number: int) -> str:
        if self._trial is not None and self._trial.number == number:
            return "on trial"
        if number == self._in_force:
            return "in force"
        ending = self._endings.get(number)
        return ending.outcome.value if ending else ""


@click.command(name="diff")
@click.argument("before", type=int)
@click.argument("after", type=int)
@as_json
def show_difference(before: int, after: int, is_json: bool) -> None:
    """Show what differs from version BEFORE to version AFTER."""
    from settings.versions import diff

    _, versions = open_versions()
    _print_differences(diff(versions.find(before), versions.find(after)), is_json=is_json)


@click.command(name="set")
@click.argument("assignments", nargs=-1, metavar="KEY=VALUE...")
@click.option("--unset", multiple=True, metavar="KEY", help="Drop what was set live.")
@click.option("--reason", default="", help="Why; it is kept with the version.")
@expected_version
@preview_only
@click.option("--canary", metavar="5m", help="Try it on one worker for so long first.")
@click.option("--worker", metavar="ID", help="With --canary: on this one.")
@as_json
def change(
    assignments: tuple[str, ...],
    unset: tuple[str, ...],
    reason: str,
    expected: int | None,
    preview: bool,
    canary: str | None,
    worker: str | None,
    is_json: bool,
) -> None:
    """Change settings in all running processes, as in `config set logging.level=debug`."""
    if worker is not None and canary is None:
        raise InvalidRequest("config set: --worker needs --canary, as in --canary 5m")
    backend, versions = open_versions()
    values = _read(assignments)
    if not values and not unset:
        raise InvalidRequest("config set: name what to change, as logging.level=debug, or --unset KEY")
    from settings.versions import diff
    from stores.redis.versions import open_history

    kept = open_history(versions, backend.clock.now)
    newest = versions.in_force()
    if preview:
        _print_differences(diff(newest, kept.preview(values, unset=unset)), is_json=is_json)
        return
    if canary is not None:
        from settings.canary import pick_worker
        from settings.live import ProcessRole

        process = pick_worker(living(backend, ProcessRole.WORKER), worker)
        trial = kept.try_out(
            values,
            process=process,
            for_s=read_duration_s("--canary", canary),
            unset=unset,
            author=getpass.getuser(),
            reason=reason,
            expected=expected,
        )
        report_trial(backend, versions, trial, is_json=is_json)
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
    backend, versions = open_versions()
    from settings.versions import diff
    from stores.redis.versions import open_history

    kept = open_history(versions, backend.clock.now)
    newest = versions.in_force()
    if preview:
        _print_differences(diff(newest, kept.preview_rollback(number)), is_json=is_json)
        return
    version = kept.rollback(number, author=getpass.getuser(), expected=expected)
    _report(backend, versions, newest, version, is_json=is_json)


def report_trial(backend: Backend, versions: RedisVersions, trial: Trial, *, is_json: bool) -> None:
    """Note that a trial began, and say what its worker says."""
    from settings.versions import diff

    differences = diff(versions.find(trial.base), versions.find(trial.number))
    backend.audit(
        "config_canary_begun",
        str(trial.number),
        {"reason": trial.reason, "worker": trial.process, "keys": [one.key for one in differences]},
    )
    said = _wait_for_answers(backend, versions, trial.number, {trial.process})
    if is_json:
        changed = [_document(one) for one in differences]
        print_json({**trial_document(trial), "changed": changed, "processes": said})
        return
    _print_differences(differences, is_json=False)
    click.echo(describe_trial(trial))
    for one in said:
        print_process(one)


def live_overrides() -> Mapping[str, Any]:
    """What is set live; nothing when no Redis is configured here, or it does not answer."""
    from settings.loader import InvalidSettings

    try:
        _, versions = open_versions()
        newest = versions.in_force()
    except InvalidSettings:
        raise
    except (ConfigurationError, StoreUnavailable):
        return {}
    return newest.overrides if newest else {}


def open_versions() -> tuple[Backend, RedisVersions]:
    """Where the versions are, as this machine is configured. Raises ConfigurationError."""
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
    from settings.versions import diff

    differences = diff(before, version)
    backend.audit(
        "config_changed",
        f"config:{version.number}",
        {"reason": version.reason, "keys": [one.key for one in differences]},
    )
    said = _wait_for_answers(backend, versions, version.number, living(backend))
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


def _wait_for_answers(
    backend: Backend, versions: RedisVersions, number: int, processes: Collection[str]
) -> list[dict[str, Any]]:
    """What each of the processes says of the version, given a moment to say it."""
    end = time.monotonic() + ACKNOWLEDGED_WITHIN_S
    while True:
        said = versions.acknowledgements(backend.clock.now(), living=processes)
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


def living(backend: Backend, role: ProcessRole | None = None) -> set[str]:
    """The ids of the processes that run now."""
    from stores.redis.registry import Registry

    registry = Registry(backend.redis, backend.settings.redis.namespace, backend.clock)
    return {service.id for service in registry.list() if role is None or service.role == role}


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
