"""The version of the settings that one worker tries before all others, and how such trials ended."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from fastapi import APIRouter
from pydantic import BaseModel, Field

from settings.canary import Ending, Outcome, Tally, Trial, compare, described, end, pick_worker
from settings.live import ProcessRole
from sync.errors import NotFound
from web.access import Admin, Reader
from web.api.audited import note
from web.api.shapes import Done
from web.problems import Problem, documented
from web.services import Has, Services

router = APIRouter(prefix="/config/canary", tags=["settings"])


class TallyBody(BaseModel):
    """Attempts that ended; those that were only put off are not among them."""

    succeeded: int
    failed: int


class TrialBody(BaseModel):
    """Version `number` on one worker, while `base` stays in force for the others."""

    number: int
    base: int
    worker: str = Field(examples=["worker:host-1:417"])
    begun_at: datetime
    ends_at: datetime
    author: str
    reason: str
    moves: int = Field(description="how often its worker ended, and another one took over")
    under_it: TallyBody
    without_it: TallyBody = Field(description="what it is measured by")


class EndingBody(BaseModel):
    number: int
    outcome: Outcome
    at: datetime
    reason: str = Field(examples=["8 of 10 attempts failed under it, 0 of 40 without it"])


class CanaryBody(BaseModel):
    """`trial` is null while no version is on trial; the last one that ended comes first."""

    trial: TrialBody | None
    ended: list[EndingBody]


@router.get("", summary="The version on trial")
def show_canary(_caller: Reader, services: Has) -> CanaryBody:
    """Which worker tries which version, how it goes, and how earlier trials ended."""
    endings = sorted(services.versions.endings().values(), key=lambda one: one.number, reverse=True)
    return CanaryBody(
        trial=trial_body(services),
        ended=[EndingBody.model_validate(one, from_attributes=True) for one in endings],
    )


@router.post(
    "/promote", summary="Put it in force now", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
)
def promote(caller: Admin, services: Has) -> Done:
    """End the trial: its version comes into force for all processes."""
    return _end(services, caller, Outcome.PROMOTED)


@router.post(
    "/withdraw", summary="Take it back now", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
)
def withdraw(caller: Admin, services: Has) -> Done:
    """End the trial: its worker returns to the version of the others."""
    return _end(services, caller, Outcome.WITHDRAWN)


def trial_body(services: Services) -> TrialBody | None:
    """The trial with what was attempted so far."""
    trial = services.versions.trial()
    if trial is None:
        return None
    tried, usual = compare(services.versions, trial)
    return TrialBody(
        number=trial.number,
        base=trial.base,
        worker=trial.process,
        begun_at=trial.begun_at,
        ends_at=trial.ends_at,
        author=trial.author,
        reason=trial.reason,
        moves=trial.moves,
        under_it=_tally_body(tried),
        without_it=_tally_body(usual),
    )


def choose_worker(services: Services, wanted: str | None) -> str:
    """Where to try a version. Raises NotFound."""
    living = [one.id for one in services.registry.list() if one.role == ProcessRole.WORKER]
    return pick_worker(living, wanted)


def end_trial(services: Services, outcome: Outcome, *, by: str) -> tuple[Trial, Ending]:
    """End the trial in somebody's name. Raises NotFound, and Problem 409 when somebody else was faster."""
    trial = services.versions.trial()
    if trial is None:
        raise NotFound("no version is on trial")
    told: list[Ending] = []
    end(
        services.versions,
        trial,
        outcome,
        by=by,
        at=services.clock.now(),
        reason=f"{by} ended it",
        tell=lambda _by, _trial, ending: told.append(ending),
    )
    if not told:
        raise Problem(
            HTTPStatus.CONFLICT, f"The trial of version {trial.number} has changed or ended meanwhile."
        )
    return trial, told[0]


def _end(services: Services, caller: Admin, outcome: Outcome) -> Done:
    trial, ending = end_trial(services, outcome, by=caller.name)
    note(services, caller, "config_canary_ended", f"config:{trial.number}", **described(trial, ending))
    return Done(detail=f"Version {trial.number} is {outcome.value}.")


def _tally_body(tally: Tally) -> TallyBody:
    return TallyBody(succeeded=tally.succeeded, failed=tally.failed)
