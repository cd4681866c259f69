"""Finds what lost its other half: runs that wait or run without a message, messages held by nobody.

A run's message is found by its id or by its account, and a run by hand, which has none, by
the lease it holds. What has neither will never end by itself: it is settled as failed, with
the reason, so that nobody waits for it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from brokers.messages import MESSAGES, SyncClub, SyncClubDirect, SyncMessage
from brokers.states import MessageState
from scheduler.housework import Found
from sync.counting import counted
from sync.ports import Clock
from sync.report import Run, RunState

# A message and its run's record are written one after the other, and a lease may be taken up again.
GRACE = timedelta(minutes=10)
QUEUES = {
    message.mode: message.queue_name.value
    for message in MESSAGES.values()
    if issubclass(message, SyncMessage)
}
OPEN_STATES = (RunState.QUEUED, RunState.RUNNING, RunState.DEFERRED)


class Runs(Protocol):
    def open(self, state: RunState, before: datetime) -> Iterator[Sequence[Run]]:
        """Runs in a state that were asked for before a moment, in pages."""
        ...

    def settle_as_failed(self, run_id: str, *, at: datetime, message: str) -> bool:
        """Settle a run unless it has ended meanwhile; whether it was."""
        ...


class Messages(Protocol):
    def states_of(self, queue: str, message_ids: Sequence[str]) -> Sequence[MessageState]: ...

    def is_held(self, unique_key: str) -> bool:
        """Whether a message waits or runs under the key."""
        ...

    def adopt_unknown(self) -> int:
        """Let messages be recovered that an unknown process holds; how many."""
        ...


class Leases(Protocol):
    def owner(self, key: str) -> str | None: ...


class OrphanSweep:
    """`on_settled` hears of each run that was settled, to clear what it had set."""

    def __init__(
        self,
        runs: Runs,
        messages: Messages,
        leases: Leases,
        clock: Clock,
        on_settled: Callable[[Run], None],
    ) -> None:
        self._runs = runs
        self._messages = messages
        self._leases = leases
        self._clock = clock
        self._on_settled = on_settled

    def __call__(self, raise_if_not_leading: Callable[[], None]) -> Found:
        settled = 0
        for state in OPEN_STATES:
            for page in self._runs.open(state, self._clock.now() - GRACE):
                raise_if_not_leading()
                settled += sum(self._settle(run, reason) for run, reason in self._orphans(page))
        adopted = self._messages.adopt_unknown()
        if not (settled or adopted):
            return Found("every open run has its message")
        runs, messages = counted(settled, "run"), counted(adopted, "message")
        said = f"{runs} without a message settled as failed, {messages} held by nobody"
        return Found(said, is_alarm=True, changes={"runs": settled, "messages": adopted})

    def _orphans(self, page: Sequence[Run]) -> Iterator[tuple[Run, str]]:
        of_queue: dict[str, list[Run]] = {}
        for run in page:
            of_queue.setdefault(QUEUES[run.mode], []).append(run)
        for queue, runs in of_queue.items():
            states = self._messages.states_of(queue, [_message_id(run) for run in runs])
            for run, state in zip(runs, states, strict=True):
                # A message may name another run id than its own, and an undo has only its lease.
                if state is not MessageState.HERE and not self._has_other_half(run):
                    is_dead = state is MessageState.DEAD
                    yield run, "its message is dead" if is_dead else "its message is gone"

    def _has_other_half(self, run: Run) -> bool:
        if self._messages.is_held(_unique_key(run)):
            return True
        return self._leases.owner(f"{run.provider}:{run.organisation_id}") == run.id

    def _settle(self, run: Run, reason: str) -> bool:
        now, was = self._clock.now(), run.state.value
        message = f"{reason}: it was {was} and would never have ended; found by the orphan sweep"
        if not self._runs.settle_as_failed(run.id, at=now, message=message):
            return False
        self._on_settled(run)
        return True


def _message_id(run: Run) -> str:
    try:
        return str(uuid.UUID(run.id))
    except ValueError:
        return run.id


def _unique_key(run: Run) -> str:
    if run.account_id is not None:
        message: SyncMessage = SyncClub(account_id=run.account_id, dry_run=run.dry_run)
    else:
        message = SyncClubDirect(
            organisation_id=run.organisation_id or "none", provider=run.provider, dry_run=run.dry_run
        )
    return message.unique_key or ""
