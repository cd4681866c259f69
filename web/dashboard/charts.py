"""What the charts draw: the last hour and day by the minute, the last month by the half hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query

from brokers.latency import COARSE, FINE, Grain, Latency
from stores.redis.trends import Point
from web.access import Reader
from web.services import Has, Services

router = APIRouter(include_in_schema=False)

VERSIONS_MARKED = 50


class Span(StrEnum):
    """How far back."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


POINTS = {Span.HOUR: 60, Span.DAY: 24 * 60, Span.MONTH: 30 * 48}
GRAIN = {Span.HOUR: FINE, Span.DAY: FINE, Span.MONTH: COARSE}
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
# Tenths of a millisecond are more than a line of a chart can show.
DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that may explain a bend in a line: a deploy, or a version of the settings."""

    at: datetime
    kind: str
    text: str


@router.get("/series.json")
def show_series(
    _caller: Reader, services: Has, span: Annotated[Span, Query()] = Span.HOUR
) -> dict[str, list[Any]]:
    """Columns of equal length from `at` on, seconds since 1970; a gap is null. And the marks among them.

    Of how long syncs waited and ran there are the seconds within which half, 95 % and 99 % lay.
    """
    grain, count = GRAIN[span], POINTS[span]
    last = int(services.clock.now().timestamp()) // grain.unit_s
    kept = dict(services.trends.coarse() if span is Span.MONTH else services.trends.fine())
    moments = [grain.unit_s * (last - count + 1 + place) for place in range(count)]
    points = [kept.get(at) for at in moments]
    series: dict[str, list[Any]] = {"at": moments}
    for name in Point._fields:
        series[name] = [None if point is None else getattr(point, name) for point in points]
    series |= _latency_columns(services, grain, moments)
    series["marks"] = [
        {"at": change.at.timestamp(), "kind": change.kind, "text": change.text}
        for change in marks(services)
        if change.at.timestamp() >= moments[0]
    ]
    return series


def _latency_columns(services: Services, grain: Grain, moments: list[int]) -> dict[str, list[float | None]]:
    kept = services.read_latency(grain=grain, since_s=moments[0], until_s=moments[-1])
    silent = Latency()
    columns: dict[str, list[float | None]] = {}
    for name, share in SHARES.items():
        latencies = [kept.get(at, silent) for at in moments]
        columns[f"wait_{name}"] = [_rounded(one.wait.quantile_s(share)) for one in latencies]
        columns[f"run_{name}"] = [_rounded(one.run.quantile_s(share)) for one in latencies]
    return columns


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, DIGITS)


def marks(services: Services) -> list[Change]:
    """Deploys and versions of the settings, oldest first."""
    found = [
        Change(at=datetime.fromtimestamp(mark.at_s, UTC), kind="deploy", text=mark.text)
        for mark in services.trends.marks()
    ]
    found += [
        Change(at=version.at, kind="settings", text=f"settings version {version.number} by {version.author}")
        for version in services.versions.history(VERSIONS_MARKED)
    ]
    return sorted(found, key=lambda change: change.at)
