"""What is demanded of a sync: its pace under a quota, its size, its cost when nothing is new."""

from __future__ import annotations

import time

from benchmarks.sync.plant import (
    Cost,
    Layout,
    TooSlow,
    differing_lists,
    measured,
    running,
    written,
)
from benchmarks.sync.report import Row

DEADLINE_S = 90.0
QUOTA_PER_S = 50
KILL_QUOTA_PER_S = 20
KILLED_POLL_S = 0.02


def measure_quota() -> list[Row]:
    """An association of 277 teams under a quota that the simulator itself counts.

    Another one goes before, so that not the first minute of the processes is measured.
    """
    costs: list[Cost] = []
    with running(Layout(size="association", associations=2, requests_per_s=QUOTA_PER_S)) as plant:
        organisation_id, other_id = (entry["organisation"] for entry in plant.organisations("association"))
        plant.wait(plant.send("association", other_id), deadline_s=DEADLINE_S)
        with measured(plant, costs):
            plant.wait(plant.send("association", organisation_id), deadline_s=DEADLINE_S)
    (cost,) = costs
    bound_s = cost.requests / QUOTA_PER_S
    note = f"{cost.requests} requests in {cost.wall_s:.2f} s, CPU of both workers {cost.cpu_s:.2f} s"
    return [
        Row("association, quota 50/s: wall to requests / quota", "x", cost.wall_s / bound_s, 1.15, note),
        Row("association, quota 50/s: most requests in any second", "", cost.max_in_1s, QUOTA_PER_S),
    ]


def measure_large() -> list[Row]:
    """The largest association, without a quota, twice."""
    costs: list[Cost] = []
    with running(Layout(size="large")) as plant:
        organisation_id = plant.organisations("association")[0]["organisation"]
        for _ in range(2):
            with measured(plant, costs):
                run = plant.wait(plant.send("association", organisation_id), deadline_s=DEADLINE_S)
        rss_mb = plant.peak_rss_mb()
    first, second = costs
    return [
        Row("large association, first sync: wall", "s", first.wall_s, 15, f"{first.requests} requests"),
        Row("large association: peak RSS of a worker process", "MB", rss_mb, 120),
        Row("large association, unchanged: records written", "", written(run), 0),
        Row(
            "large association, unchanged: wall of the first one's",
            "%",
            100 * second.wall_s / first.wall_s,
            25,
            f"{second.wall_s:.2f} s of {first.wall_s:.2f} s",
        ),
        Row(
            "large association, unchanged: CPU of the first one's",
            "%",
            100 * second.cpu_s / first.cpu_s,
            25,
            f"{second.cpu_s:.2f} s of {first.cpu_s:.2f} s",
        ),
    ]


def measure_killed() -> list[Row]:
    """Workers and scheduler are killed half-way, and started again."""
    with running(Layout(size="association", requests_per_s=KILL_QUOTA_PER_S)) as plant:
        organisation_id = plant.organisations("association")[0]["organisation"]
        undisturbed = _count_requests(organisation_id)
        plant.ask("DELETE", "stats")
        run_id = plant.send("association", organisation_id)
        ends_at_s = time.monotonic() + DEADLINE_S
        while plant.served()["requests"] < undisturbed / 2:
            if time.monotonic() > ends_at_s:
                raise TooSlow("half of a sync")
            time.sleep(KILLED_POLL_S)
        plant.kill()
        plant.start_workers()
        plant.wait(run_id, deadline_s=DEADLINE_S)
        differing = differing_lists(
            plant.export("association", organisation_id), plant.truth("association", organisation_id)
        )
        requests = plant.served()["requests"]
    repeated = max(0, requests - undisturbed)
    return [
        Row("killed at half, started again: lists that differ", "", len(differing), 0, ", ".join(differing)),
        Row(
            "killed at half, started again: requests repeated",
            "%",
            100 * repeated / undisturbed,
            10,
            f"{requests} instead of {undisturbed}",
        ),
    ]


def _count_requests(organisation_id: str) -> int:
    """What an undisturbed first sync of the same association asks for."""
    with running(Layout(size="association")) as plant:
        plant.ask("DELETE", "stats")
        plant.wait(plant.send("association", organisation_id), deadline_s=DEADLINE_S)
        return int(plant.served()["requests"])
