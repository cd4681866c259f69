"""A night: many accounts of some associations, whose answers they share."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any

from benchmarks.sync.plant import Cost, Layout, Plant, TooSlow, measured, running, wait_until
from benchmarks.sync.report import Row
from brokers.operations import Operations
from stores.redis.batches import Batch, Batches
from stores.sql.accounts import NewAccount
from sync.model import OrganisationKind
from sync.report import RunState

QUOTA_PER_S = 100
CLUBS_AN_ASSOCIATION = 4
POLL_S = 0.2
# The scheduler looks for what is asked once a second, and sends thousands in another.
SENT_BEFORE_S = 3.0
ENDS_WITHIN_S = 30.0
# Requests of a sync by itself, before anything is shared: of a season, and of a grade.
GRADES_AND_TEAMS = 2
FIXTURE_AND_LADDER = 2


def measure(accounts: int, *, deadline_s: float) -> list[Row]:
    """Two nights of so many accounts, four fifths of them clubs: the second one is measured."""
    associations = accounts // (CLUBS_AN_ASSOCIATION + 1)
    costs: list[Cost] = []
    layout = Layout(size="fleet", associations=associations, requests_per_s=QUOTA_PER_S, concurrency=32)
    with running(layout) as plant:
        chosen = _choose(plant)
        _add(plant, chosen)
        naive = sum(_naive_requests(plant, entry) for entry in chosen)
        for _ in range(2):
            batch = _ask_for_a_night(plant)
            with measured(plant, costs):
                failed = _await_end(plant, batch, len(chosen), deadline_s)
    first, night = costs
    return [
        _pace(f"first night of {accounts} accounts", first),
        _pace(f"night of {accounts} accounts", night, limit=1.10),
        Row(f"night of {accounts} accounts: runs that did not succeed", "", failed, 0),
        Row(f"night of {accounts} accounts: most requests in any second", "", night.max_in_1s, QUOTA_PER_S),
        Row(
            f"night of {accounts} accounts: requests of the naive sum",
            "%",
            100 * night.requests / naive,
            45,
            f"{night.requests} of {naive}",
        ),
        Row(f"night of {accounts} accounts: CPU a request", "ms", 1000 * night.cpu_s / night.requests),
    ]


def _pace(what: str, cost: Cost, *, limit: float | None = None) -> Row:
    bound_s = cost.requests / QUOTA_PER_S
    note = f"{cost.wall_s:.1f} s, bound {bound_s:.1f} s, CPU {cost.cpu_s:.0f} s"
    return Row(f"{what}: wall to requests / quota", "x", cost.wall_s / bound_s, limit, note)


def _choose(plant: Plant) -> list[dict[str, Any]]:
    """Every association, and some clubs of each."""
    chosen = plant.organisations("association")
    clubs: dict[str, list[dict[str, Any]]] = {}
    for club in plant.organisations("club"):
        clubs.setdefault(club["associations"][0], []).append(club)
    return chosen + [club for own in clubs.values() for club in own[:CLUBS_AN_ASSOCIATION]]


def _add(plant: Plant, chosen: list[dict[str, Any]]) -> None:
    plant.backend.stores.accounts.add_many(
        [
            NewAccount(
                kind=OrganisationKind(entry["type"]),
                name=entry["name"],
                provider=entry["provider"],
                organisation_id=entry["organisation"],
            )
            for entry in chosen
        ]
    )


def _naive_requests(plant: Plant, entry: dict[str, Any]) -> int:
    """What the account would ask for if it shared nothing with the others of its night."""
    truth = plant.truth(entry["type"], entry["organisation"])
    associations = max(1, len(entry["associations"]))
    return associations + GRADES_AND_TEAMS * len(truth["seasons"]) + FIXTURE_AND_LADDER * len(truth["grades"])


def _ask_for_a_night(plant: Plant) -> Batch:
    """One batch of all accounts at once; answers when it is due, as nightly ones are sent before they are."""
    backend = plant.backend
    operations = Operations(backend.broker)
    # A message ends a moment after its run; until then one of the next night would be coalesced with it.
    wait_until(
        lambda: not any(queue.leased for queue in operations.queues()), ENDS_WITHIN_S, what="the last night"
    )
    starts_at = backend.clock.now() + timedelta(seconds=SENT_BEFORE_S)
    batch = Batch(id=uuid.uuid4().hex, starts_at=starts_at, requested_by="benchmark")
    Batches(backend.redis, backend.settings.redis.namespace).ask(batch)
    time.sleep(max(0.0, (starts_at - backend.clock.now()).total_seconds()))
    return batch


def _await_end(plant: Plant, batch: Batch, accounts: int, deadline_s: float) -> int:
    """Answers how many runs did not succeed."""
    backend = plant.backend
    ends_at_s = time.monotonic() + deadline_s
    while True:
        counts = backend.stores.runs.count_by_state(batch.id)
        finished = sum(count for state, count in counts.items() if state.is_final)
        if finished >= accounts:
            return finished - counts.get(RunState.SUCCEEDED, 0)
        if time.monotonic() > ends_at_s:
            raise TooSlow(f"a night: {finished} of {accounts} after {deadline_s:g} s")
        time.sleep(POLL_S)
