"""What the charts draw: the last hour and day by the minute, the last month by the half hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query

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
UNIT_S = {Span.HOUR: 60, Span.DAY: 60, Span.MONTH: 1800}


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
    """Columns of equal length from `at` on, seconds since 1970; a gap is null. And the marks among them."""
    unit_s, count = UNIT_S[span], POINTS[span]
    last = int(services.clock.now().timestamp()) // unit_s
    kept = dict(services.trends.coarse() if span is Span.MONTH else services.trends.fine())
    moments = [unit_s * (last - count + 1 + place) for place in range(count)]
    points = [kept.get(at) for at in moments]
    series: dict[str, list[Any]] = {"at": moments}
    for name in Point._fields:
        series[name] = [None if point is None else getattr(point, name) for point in points]
    series["marks"] = [
        {"at": change.at.timestamp(), "kind": change.kind, "text": change.text}
        for change in marks(services)
        if change.at.timestamp() >= moments[0]
    ]
    return series


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
