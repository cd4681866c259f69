"""Messages that a person takes away for good: the runs that they were for end with them.

Without its message a run would stay open until the orphan sweep calls it failed. So it is
settled at once, as cancelled, and says by whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from brokers.envelope import read_text
from brokers.latency import SYNC_QUEUES
from brokers.redis import PURGE_CHUNK, PriorityRedisBroker
from brokers.scripts import DELETE, PURGE
from brokers.states import DeadLetter
from brokers.stored import text_of
from sync.counting import counted
from sync.ports import Clock

# Of one round trip; each ends its runs before the next, so that a crash leaves few to the sweep.
PAGE = 200


class Runs(Protocol):
    def cancel(
        self, run_ids: Sequence[str], *, at: datetime, message: str, is_begun_too: bool = False
    ) -> int:
        """Settle open runs as cancelled, with `is_begun_too` running ones as well; how many."""
        ...


@dataclass(frozen=True, slots=True)
class Removed:
    """How many messages were deleted, and how many open runs ended with them."""

    messages: int = 0
    runs: int = 0

    @property
    def and_runs(self) -> str:
        """What to say after the messages: empty where no run ended."""
        return f"; {counted(self.runs, 'run')} cancelled" if self.runs else ""

    @property
    def counts(self) -> Mapping[str, int]:
        """For the audit."""
        return {"count": self.messages, "runs": self.runs}


class Removal:
    """A person's hand on a broker's messages; `by` names the person. Raises StoreUnavailable."""

    def __init__(self, broker: PriorityRedisBroker, *, runs: Runs, clock: Clock) -> None:
        self._broker = broker
        self._runs = runs
        self._clock = clock

    def purge(self, queue: str, *, by: str) -> Removed:
        """Delete what waits or is delayed; what runs and the dead letters stay."""
        arguments = (queue, PURGE_CHUNK, "waiting", "delayed")
        steps: Iterator[list[Any]] = iter(lambda: self._broker.ask(PURGE, arguments), [])
        return self._end(queue, steps, f"cancelled by {by}, who purged the queue {queue}")

    def delete(self, letters: Iterable[DeadLetter], *, by: str) -> Removed:
        """Delete dead letters."""
        places: dict[str, list[str]] = {}
        for letter in letters:
            places.setdefault(letter.queue, []).append(letter.message_id)
        return self.delete_by_id(places, by=by)

    def delete_by_id(self, places: Mapping[str, Sequence[str]], *, by: str) -> Removed:
        """Delete messages by queue and id, dead, waiting or delayed ones; running ones stay."""
        done = Removed()
        for queue, ids in places.items():
            pages = (ids[start : start + PAGE] for start in range(0, len(ids), PAGE))
            steps = (self._broker.ask(DELETE, (queue, *page)) for page in pages)
            some = self._end(queue, steps, f"cancelled by {by}, who deleted its message")
            done = Removed(done.messages + some.messages, done.runs + some.runs)
        return done

    def _end(self, queue: str, steps: Iterable[Sequence[Any]], message: str) -> Removed:
        messages = ended = 0
        for runs in steps:
            messages += len(runs)
            # A notice names a run as well, which goes on without it.
            ids = [run for one in runs if (run := read_text(text_of(one)))] if queue in SYNC_QUEUES else []
            if ids:
                now = self._clock.now()
                ended += self._runs.cancel(ids, at=now, message=message, is_begun_too=True)
        return Removed(messages, ended)
