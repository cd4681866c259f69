"""Why a sync does not run: the one gate that holds it, by name, with when it should open. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sync.counting import counted
from sync.report import Run, RunState

# Runs that somebody started by hand have no message: whoever asked for them wrote them.
BY_HAND = ("approval", "undo")
# A dead worker's messages run again within this.
TAKEN_OVER_AFTER_S = 15.0


class Place(StrEnum):
    """Where a run's message is."""

    WAITING = "waiting"
    DELAYED = "delayed"
    LEASED = "leased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who works on the organisation: a run, or None when somebody writes by hand."""

    run: Run | None
    # How long that run should still take, by what is usual for it.
    left_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known of one active run; durations in seconds.

    Where nobody takes its messages, `silent_worker` names one that stopped to beat without saying so,
    `quiet_worker` one that was told to take nothing new. `outage` says what stops every sync.
    """

    run: Run
    queue: str
    place: Place | None = None
    ahead: int = 0
    due_in_s: float | None = None
    is_worker_lost: bool = False
    is_paused: bool = False
    paused_by: str | None = None
    is_full: bool = False
    taking_worker_count: int = 0
    silent_worker: str | None = None
    quiet_worker: str | None = None
    outage: str | None = None
    holder: Holder | None = None
    pause_s: float = 0.0
    breaker_open_s: float = 0.0
    done_per_minute: float = 0.0
    left_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A schedule entry that takes an account in; `next_at` None while nobody leads."""

    entry_id: str
    is_paused: bool
    paused_by: str | None
    next_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The gate, in words; `eta_s` is None when a person has to open it, or nobody can tell."""

    gate: str
    text: str
    eta_s: float | None = None
    href: str | None = None
    run_id: str | None = None


def explain(situation: Situation) -> Answer:
    """The first gate on the run's way that is closed."""
    run, place = situation.run, situation.place
    if run.preset in BY_HAND:
        return Answer(
            gate="interrupted",
            text="It was cut off, or is being written at the moment; asked for again, it goes on.",
            href=f"/runs/{run.of_run_id}",
            run_id=run.id,
        )
    if place is None:
        return Answer(
            gate="gone",
            text="Its message is no longer in a queue: it was deleted, or is among the dead letters.",
            href=f"/dead?q={run.id}",
            run_id=run.id,
        )
    if place is Place.LEASED:
        return _running(situation)
    return _kept_from_starting(situation) or (
        _delayed(situation) if place is Place.DELAYED else _waiting(situation)
    )


def explain_idle(
    latest: Run | None,
    *,
    waits_for_person: Run | None,
    ticks: Sequence[Tick],
    now: datetime,
    step: str | None = None,
) -> Answer:
    """Why an account that no sync is asked of has none: its held plan, its schedule, nobody.

    `step` is what a person has to do before another sync can succeed, where the last one says so.
    """
    if waits_for_person is not None:
        return Answer(
            gate="held",
            text="Its last sync has ended, and what a guard held back waits for a person.",
            href=f"/runs/{waits_for_person.id}#plan",
            run_id=waits_for_person.id,
        )
    past = _past(latest)
    if latest is not None and step is not None:
        return Answer(gate="to be mended", text=f"{past} {step}", href=f"/runs/{latest.id}", run_id=latest.id)
    if not ticks:
        return Answer(gate="nothing asked", text=f"{past} No schedule takes this account; ask for a sync.")
    if all(tick.is_paused for tick in ticks):
        tick = ticks[0]
        by = f" by {tick.paused_by}" if tick.paused_by else ""
        text = f"{past} The schedule {tick.entry_id} is paused{by}; resume it."
        return Answer(gate="schedule paused", text=text, href="/schedules")
    coming = [(tick.next_at, tick) for tick in ticks if tick.next_at is not None and not tick.is_paused]
    if not coming:
        text = f"{past} No scheduler leads, so that nothing is sent by itself."
        return Answer(gate="no scheduler", text=text, href="/workers")
    next_at, tick = min(coming, key=lambda pair: pair[0])
    eta_s = max(0.0, (next_at - now).total_seconds())
    return Answer(gate="scheduled", text=f"{past} {tick.entry_id} is next.", eta_s=eta_s, href="/schedules")


def explain_outage(outage: str, run_id: str | None = None) -> Answer:
    """What stops every sync, whatever else would hold this one up."""
    text = f"{outage.removesuffix('.')}; no sync gets through until that is mended."
    return Answer(gate="outage", text=text, href="/workers#checks", run_id=run_id)


def _past(latest: Run | None) -> str:
    if latest is None:
        return "No sync was ever asked for."
    if latest.state is not RunState.FAILED:
        return "The last sync has ended."
    reason = f": {latest.message.removesuffix('.')}" if latest.message else ""
    return f"The last sync failed{reason}."


def _kept_from_starting(situation: Situation) -> Answer | None:
    run_id, queue = situation.run.id, situation.queue
    if situation.is_paused:
        by = f" by {situation.paused_by}" if situation.paused_by else ""
        text = f"The queue {queue} is paused{by}; resume it."
        return Answer(gate="paused", text=text, href="/queues", run_id=run_id)
    if situation.taking_worker_count == 0:
        return Answer(gate="no worker", text=_no_worker(situation), href="/workers", run_id=run_id)
    return explain_outage(situation.outage, run_id) if situation.outage is not None else None


def _no_worker(situation: Situation) -> str:
    queue = situation.queue
    if situation.quiet_worker is not None:
        return (
            f"{situation.quiet_worker} is quiet and nobody else takes messages of {queue};"
            f" `clubsync workers quiet {situation.quiet_worker} --off` wakes it."
        )
    if situation.silent_worker is not None:
        return (
            f"{situation.silent_worker} is registered but silent, and nobody else takes messages of {queue}:"
            " it hangs, was stopped or is cut off; restart it, or start another."
        )
    return f"No worker lives that takes messages of {queue}; start one with `clubsync worker`."


def _running(situation: Situation) -> Answer:
    run = situation.run
    if situation.is_worker_lost:
        text = "Its worker does not answer any more; another one goes on where it stopped."
        return Answer(gate="worker lost", text=text, eta_s=TAKEN_OVER_AFTER_S, run_id=run.id)
    return _provider_gate(situation) or (
        _leased(situation)
        if situation.holder
        else Answer(
            gate="none",
            text="It is running.",
            eta_s=situation.left_s,
            href=f"/runs/{run.id}",
            run_id=run.id,
        )
    )


def _delayed(situation: Situation) -> Answer:
    run, eta_s = situation.run, situation.due_in_s
    if situation.holder:
        return _leased(situation)
    if provider := _provider_gate(situation):
        return provider
    if run.state is RunState.QUEUED and run.batch_id is not None:
        text = "Its batch is spread over a time; its turn comes later."
        return Answer(gate="spread", text=text, eta_s=eta_s, href=f"/batches/{run.batch_id}", run_id=run.id)
    reason = f" ({run.message})" if run.message else ""
    return Answer(gate="delayed", text=f"It is due later{reason}.", eta_s=eta_s, run_id=run.id)


def _provider_gate(situation: Situation) -> Answer | None:
    run = situation.run
    if situation.pause_s:
        text = "The provider throttles: everybody who uses its key pauses."
        return Answer(gate="quota", text=text, eta_s=situation.pause_s, run_id=run.id)
    if situation.breaker_open_s:
        text = "The provider does not answer; it is asked again after a pause."
        return Answer(gate="breaker", text=text, eta_s=situation.breaker_open_s, run_id=run.id)
    return None


def _leased(situation: Situation) -> Answer:
    holder, run = situation.holder, situation.run
    if holder is None or holder.run is None:
        text = "Somebody writes to the same organisation by hand; this one waits for it."
        return Answer(gate="leased", text=text, eta_s=situation.due_in_s, run_id=run.id)
    of = f"account {holder.run.account_id}" if holder.run.account_id else "an organisation"
    return Answer(
        gate="leased",
        text=f"Another run, of {of}, works on the same organisation; this one waits for it.",
        eta_s=holder.left_s if holder.left_s is not None else situation.due_in_s,
        href=f"/runs/{holder.run.id}",
        run_id=run.id,
    )


def _waiting(situation: Situation) -> Answer:
    run = situation.run
    if situation.is_full:
        text = f"As many of {situation.queue} run at once as the queue may; this one is next after them."
        return Answer(gate="limit", text=text, href="/queues", run_id=run.id)
    if situation.ahead == 0:
        text = "It is next: it starts as soon as a worker has a free slot."
        return Answer(gate="next", text=text, run_id=run.id)
    rate = situation.done_per_minute
    starts = "starts" if situation.ahead == 1 else "start"
    return Answer(
        gate="queue",
        text=f"{counted(situation.ahead, 'message')} of {situation.queue} {starts} before it.",
        eta_s=situation.ahead / rate * 60 if rate else None,
        run_id=run.id,
    )
