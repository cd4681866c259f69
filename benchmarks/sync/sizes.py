"""The four sizes of account: first sync, the same again, and an ordinary week later."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from benchmarks.sync.plant import LATENCY_MS, Cost, Layout, Plant, measured, running, written
from benchmarks.sync.report import Row

LATENCY_S = LATENCY_MS / 1000
DEADLINE_S = 90.0
PAGE_SIZE = 100
# Seasons, registrations, grades; then pages of teams; then fixture and ladder of a grade.
DEPTH_BESIDE_TEAMS = 5
# Of every game of the account, in a week: half the teams play, and a few games are moved.
WEEK = ("result", "move")
WEEKLY_CHANGES_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Size:
    """A named size of the simulator and what is synced in it."""

    name: str
    label: str
    kind: str
    teams_a_season: int


SIZES = (
    Size("small-club", "small club", "club", 56),
    Size("club", "club", "club", 277),
    Size("association", "association", "association", 35),
    Size("large", "large association", "association", 969),
)


def measure(size: Size) -> list[Row]:
    """Rows of one size: times to the bound, CPU a request and memory."""
    layout = Layout(size=size.name)
    costs: list[Cost] = []
    with running(layout) as plant:
        organisation_id = plant.organisations(size.kind)[0]["organisation"]
        game_count = len(plant.truth(size.kind, organisation_id)["games"])
        runs = []
        for attempt in ("first", "unchanged", "week"):
            if attempt == "week":
                _pass_a_week(plant, organisation_id, game_count)
            with measured(plant, costs):
                runs.append(plant.wait(plant.send(size.kind, organisation_id), deadline_s=DEADLINE_S))
        rss_mb = plant.peak_rss_mb()
    first, unchanged, week = costs
    label = size.label
    return [
        Row(
            f"{label}, first sync: wall to bound",
            "x",
            first.wall_s / _bound_s(size, layout, first),
            note=f"{first.requests} requests, {first.wall_s:.1f} s",
        ),
        Row(f"{label}, first sync: CPU a request", "ms", _cpu_ms(first)),
        Row(
            f"{label}, unchanged: wall to bound",
            "x",
            unchanged.wall_s / _bound_s(size, layout, unchanged),
            note=f"{unchanged.requests} requests, {unchanged.wall_s:.1f} s",
        ),
        Row(f"{label}, unchanged: CPU a request", "ms", _cpu_ms(unchanged)),
        Row(f"{label}, unchanged: records written", "", written(runs[1]), 0),
        Row(
            f"{label}, ordinary week: wall to bound",
            "x",
            week.wall_s / _bound_s(size, layout, week),
            note=f"{written(runs[2])} records written",
        ),
        Row(f"{label}: peak RSS of a worker", "MB", rss_mb, 120),
    ]


def _pass_a_week(plant: Plant, organisation_id: str, game_count: int) -> None:
    changes: list[Any] = [
        {"kind": kind, "organisation": organisation_id}
        for kind in WEEK
        for _ in range(max(1, round(game_count * WEEKLY_CHANGES_SHARE / len(WEEK))))
    ]
    plant.ask("POST", "changes", changes)


def _bound_s(size: Size, layout: Layout, cost: Cost) -> float:
    """What latency alone costs: of the longest chain of requests, or of all of them side by side."""
    depth = DEPTH_BESIDE_TEAMS + ceil(size.teams_a_season / PAGE_SIZE)
    return LATENCY_S * max(depth, cost.requests / layout.concurrency)


def _cpu_ms(cost: Cost) -> float:
    return 1000 * cost.cpu_s / cost.requests
