"""Why a sync does not run: the one gate that holds it, by name, with when it should open."""

from __future__ import annotations

from dataclasses import dataclass

from brokers.whereabouts import Place, Whereabouts
from stores.redis.gates import Held
from sync.report import Run, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known of one active run; durations in seconds."""

    run: Run
    queue: str
    whereabouts: Whereabouts | None
    is_paused: bool
    paused_by: str | None
    taking_worker_count: int
    lease: Held | None
    breaker_open_s: float
    done_per_minute: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The gate, in words; `eta_s` is None when a person has to open it, or nobody can tell."""

    gate: str
    text: str
    eta_s: float | None = None
    href: str | None = None


def explain(situation: Situation) -> Answer:
    """The first gate on the run's way that is closed."""
    run, place = situation.run, situation.whereabouts
    if place is None and run.state is not RunState.RUNNING:
        return Answer(
            gate="gone",
            text="Its message is no longer in a queue: it was deleted, or is among the dead letters.",
            href=f"/dead?q={run.id}",
        )
    if place is None or place.place is Place.LEASED:
        return _running(situation)
    if situation.is_paused:
        by = f" by {situation.paused_by}" if situation.paused_by else ""
        return Answer(
            gate="paused", text=f"The queue {situation.queue} is paused{by}; resume it.", href="/queues"
        )
    if situation.taking_worker_count == 0:
        return Answer(
            gate="no worker", text="No worker lives that takes messages; start or wake one.", href="/workers"
        )
    if place.place is Place.DELAYED:
        reason = f" ({run.message})" if run.message else ""
        return Answer(gate="delayed", text=f"It is due later{reason}.", eta_s=place.due_in_s)
    return _waiting(situation, place)


def _running(situation: Situation) -> Answer:
    lease = situation.lease
    if lease is not None and lease.owner != situation.run.id:
        return Answer(
            gate="leased",
            text="Another run works on the same organisation; this one waits for it.",
            eta_s=lease.left_s,
            href=f"/runs/{lease.owner}",
        )
    if situation.breaker_open_s:
        return Answer(
            gate="breaker",
            text="It runs, but the provider does not answer; it is asked again after a pause.",
            eta_s=situation.breaker_open_s,
        )
    return Answer(gate="none", text="It is running.", href=f"/runs/{situation.run.id}")


def _waiting(situation: Situation, place: Whereabouts) -> Answer:
    if place.ahead == 0:
        return Answer(gate="next", text="It is next: it starts as soon as a worker has a free slot.")
    rate = situation.done_per_minute
    return Answer(
        gate="queue",
        text=f"{place.ahead:,} messages of {situation.queue} start before it.",
        eta_s=place.ahead / rate * 60 if rate else None,
    )
