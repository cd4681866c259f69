"""`clubsync config canary`: the version on trial, and ending its trial by hand."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

import click

from cli.output import as_json, print_json
from sync.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from cli.backend import Backend
    from settings.canary import Ending, Outcome, Trial
    from stores.redis.versions import RedisVersions


@click.command()
@click.option("--promote", "outcome", flag_value="promoted", help="Put it in force for all processes now.")
@click.option("--withdraw", "outcome", flag_value="withdrawn", help="Take it back now.")
@as_json
def canary(outcome: str | None, is_json: bool) -> None:
    """Show the version that one worker tries, or end its trial."""
    from cli.versions import open_versions
    from settings.canary import Outcome

    backend, versions = open_versions()
    trial = versions.trial()
    if outcome is not None:
        _end(backend, versions, trial, Outcome(outcome))
    elif is_json:
        print_json(_standing(versions, trial) if trial else None)
    elif trial is None:
        click.echo("no version is on trial")
    else:
        click.echo(describe_trial(trial))
        click.echo("; ".join(f"{what}: {tally} attempts failed" for what, tally in _tallies(versions, trial)))


def describe_trial(trial: Trial) -> str:
    """In one sentence."""
    return (
        f"version {trial.number} is on trial on {trial.process} until {trial.ends_at:%H:%M:%S} UTC; "
        f"version {trial.base} stays in force for the others"
    )


def trial_document(trial: Trial) -> dict[str, Any]:
    """For programs; times are aware UTC."""
    return {
        "version": trial.number,
        "base": trial.base,
        "worker": trial.process,
        "begun_at": trial.begun_at,
        "ends_at": trial.ends_at,
        "author": trial.author,
        "reason": trial.reason,
        "moves": trial.moves,
    }


def _standing(versions: RedisVersions, trial: Trial) -> dict[str, Any]:
    from settings.canary import compare

    attempts = {
        what: {"succeeded": tally.succeeded, "failed": tally.failed}
        for what, tally in zip(("under_it", "without_it"), compare(versions, trial), strict=True)
    }
    return {**trial_document(trial), "attempts": attempts}


def _tallies(versions: RedisVersions, trial: Trial) -> list[tuple[str, object]]:
    from settings.canary import compare

    return list(zip(("under it", "without it"), compare(versions, trial), strict=True))


def _end(backend: Backend, versions: RedisVersions, trial: Trial | None, outcome: Outcome) -> None:
    from settings.canary import described, end

    if trial is None:
        raise NotFound("no version is on trial")

    def tell(_by: str, trial: Trial, ending: Ending) -> None:
        backend.audit("config_canary_ended", f"config:{trial.number}", described(trial, ending))

    user = getpass.getuser()
    ended = end(
        versions, trial, outcome, by=user, at=backend.clock.now(), reason=f"{user} ended it", tell=tell
    )
    if not ended:
        raise InvalidRequest(
            f"the trial of version {trial.number} has changed or ended meanwhile: look again"
        )
    click.echo(f"version {trial.number} is {outcome.value}")
