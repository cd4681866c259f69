"""Is it alive, is it ready, and what is the matter.

`/health/live` fails only when the event loop is stuck, because a platform restarts what
fails it. `/health/ready` fails when a declared dependency does not answer. `/health` tells
everything, in the form of draft-inadarei-api-health-check-06 (`application/health+json`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from web.access import Reader
from web.problems import documented

MEDIA_TYPE = "application/health+json"
# Longer than any request may hold the loop; a platform's probe waits about as long.
STUCK_AFTER_S = 10.0
BEAT_S = 0.5
CHECK_TIMEOUT_S = 3.0
# Several probes a second must not become several checks a second.
CHECKS_LAST_S = 1.0


# By the check's name, each in the draft's form.
Report = dict[str, dict[str, Any]]


class Status(StrEnum):
    """The draft's words; `warn` still serves."""

    PASS = "pass"  # noqa: S105 not a password
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check saw; `hint` says what to do when it is not a pass."""

    status: Status = Status.PASS
    value: float | str | None = None
    unit: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A question with an answer; the process needs what `is_required` asks for.

    While the check that `through` names fails, the answer would only seem to tell something.
    """

    name: str
    ask: Callable[[], Finding]
    is_required: bool = False
    through: str | None = None


class Heartbeat:
    """Notes that the event loop turns."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._beat_at_s = now_s()

    async def keep(self) -> None:
        while True:
            self._beat_at_s = self._now_s()
            await asyncio.sleep(BEAT_S)

    @property
    def lag_s(self) -> float:
        return max(0.0, self._now_s() - self._beat_at_s - BEAT_S)


class Checkup:
    """Asks all checks at once, each within a time limit, and keeps the answers for a second."""

    def __init__(self, checks: Sequence[Check], *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._checks = checks
        self._now_s = now_s
        self._asked_at_s = float("-inf")
        self._report: Report = {}
        self._turn = asyncio.Lock()
        # Threads of its own: a check that hangs must not hold up requests.
        self._threads = ThreadPoolExecutor(max_workers=2 * max(1, len(checks)), thread_name_prefix="check")

    async def report(self) -> Report:
        """What each check found, by name, in the draft's form."""
        async with self._turn:
            if self._now_s() - self._asked_at_s > CHECKS_LAST_S:
                asked = await asyncio.gather(*(self._ask(check) for check in self._checks))
                found = dict(zip((check.name for check in self._checks), asked, strict=True))
                self._report = found | {
                    check.name: _unknown(found[check.name], check.through)
                    for check in self._checks
                    if check.through is not None and found[check.through]["status"] == Status.FAIL
                }
                self._asked_at_s = self._now_s()
            return self._report

    @property
    def last_report(self) -> Report:
        """What `report` answered last; empty before it was asked."""
        return self._report

    @property
    def required(self) -> list[str]:
        """The names of the checks that the process cannot do without."""
        return [check.name for check in self._checks if check.is_required]

    async def failed_requirements(self) -> list[str]:
        report = await self.report()
        return [name for name in self.required if report[name]["status"] == Status.FAIL]

    async def outage(self) -> str | None:
        """What fails that nothing can be done without, in a sentence; None when all of it answers."""
        report = await self.report()
        failed = [name for name in self.required if report[name]["status"] == Status.FAIL]
        return f"{failed[0]}: {report[failed[0]].get('output', 'it does not answer')}" if failed else None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, check: Check) -> dict[str, Any]:
        began_s = self._now_s()
        loop = asyncio.get_running_loop()
        try:
            finding = await asyncio.wait_for(
                loop.run_in_executor(self._threads, check.ask), timeout=CHECK_TIMEOUT_S
            )
        except TimeoutError:
            finding = Finding(
                status=Status.FAIL,
                hint=f"It did not answer within {CHECK_TIMEOUT_S:.0f} s; look at its own log.",
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001 a check that breaks is a finding, whatever broke it
            finding = Finding(status=Status.FAIL, hint=str(error) or type(error).__name__)
        took_ms = round((self._now_s() - began_s) * 1000, 1)
        value, unit = (took_ms, "ms") if finding.value is None else (finding.value, finding.unit)
        entry = {
            "status": finding.status.value,
            "observedValue": value,
            "observedUnit": unit,
            "output": finding.hint,
            "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        return {name: item for name, item in entry.items() if item is not None}


async def _outage(request: Request) -> str | None:
    checkup: Checkup = request.app.state.checkup
    return await checkup.outage()


def _unknown(entry: dict[str, Any], through: str) -> dict[str, Any]:
    said = {"status": Status.FAIL.value, "output": f"Not known while {through} fails."}
    return {**said, "time": entry["time"]}


class HealthResponse(JSONResponse):
    media_type = MEDIA_TYPE


Outage = Annotated[str | None, Depends(_outage)]
REFUSALS = documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)


def _failing(description: str) -> dict[int | str, dict[str, Any]]:
    return {503: {"description": description, "content": {MEDIA_TYPE: {}}}}


router = APIRouter(prefix="/health", tags=["health"])


@router.get(
    "/live",
    summary="Is the process alive",
    response_class=HealthResponse,
    responses=_failing("The event loop is stuck"),
)
async def live(request: Request) -> JSONResponse:
    """200 unless the event loop is stuck; needs no token and asks nobody else."""
    heartbeat: Heartbeat = request.app.state.heartbeat
    is_stuck = heartbeat.lag_s > STUCK_AFTER_S
    return _answer(
        HTTPStatus.SERVICE_UNAVAILABLE if is_stuck else HTTPStatus.OK,
        {"status": Status.FAIL if is_stuck else Status.PASS},
    )


@router.get(
    "/ready",
    summary="Can requests be served",
    response_class=HealthResponse,
    responses=_failing("A dependency is missing"),
)
async def ready(request: Request) -> JSONResponse:
    """200 when Redis, SQL and the CMS answer, else 503 that names those that do not."""
    checkup: Checkup = request.app.state.checkup
    missing = await checkup.failed_requirements()
    if not missing:
        return _answer(HTTPStatus.OK, {"status": Status.PASS})
    body = {"status": Status.FAIL, "output": f"not answering: {', '.join(missing)}", "missing": missing}
    return _answer(HTTPStatus.SERVICE_UNAVAILABLE, body)


@router.get(
    "",
    summary="Everything that is checked",
    response_class=HealthResponse,
    responses={**_failing("A dependency is missing"), **REFUSALS},
)
async def full(request: Request, _caller: Reader) -> JSONResponse:
    """Every check with value, unit, time and what to do; the worst one is the status."""
    checkup: Checkup = request.app.state.checkup
    report = await checkup.report()
    is_failed = bool(await checkup.failed_requirements())
    body = {
        "status": Status.FAIL if is_failed else _worst_serving(report),
        "serviceId": "clubsync-web",
        "description": "clubsync",
        "checks": {name: [entry] for name, entry in report.items()},
    }
    return _answer(HTTPStatus.SERVICE_UNAVAILABLE if is_failed else HTTPStatus.OK, body)


def _worst_serving(report: Report) -> Status:
    is_fine = all(entry["status"] == Status.PASS for entry in report.values())
    return Status.PASS if is_fine else Status.WARN


def _answer(status: HTTPStatus, body: dict[str, Any]) -> JSONResponse:
    return HealthResponse(body, status_code=status)
