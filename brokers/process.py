"""A worker process as Redis sees it: its name, its leases and its heartbeat.

Redis lends messages to a process, not to a connection: while it beats, its messages are its
own; once its lease is over, any other process's heartbeat gives them back to their queues.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import NamedTuple

from brokers.connection import CALL_TIMEOUT_S, REDIS_ERRORS, Argument, Dial, Link
from brokers.scripts import RECOVER, REGISTER, RETURN, WORK
from brokers.sender import SERVER_CLOCK

# Silent for 5 s, noticed within 4 s, found silent again 2 s later: others have the messages 8 s after
# a death, 11 s at the latest.
LEASE_S = 5.0
# A beat that gets no answer must leave time for another one within the lease.
BEAT_TIMEOUT_S = 2.0
# A blocked call is asked anew after this long, so that a connection that died silently is noticed.
LONGEST_DOZE_S = 10.0
# Beats between two looks at the others while all are alive, and between two looks at who they are:
# a new process need not be known before its first lease can be over.
LOOK_EVERY = 2
PEERS_EVERY = 4


class Settled(NamedTuple):
    """How a delivery ended: `ack`, `nack` or `back` to the head of its queue."""

    how: str
    queue: str
    message_id: str
    fetch: int
    reason: bytes = b""


class Lent(NamedTuple):
    """A message lent to this process; `fetch` tells this lease from the message's next one.

    `claim` proves the lease to a call that sends the message again.
    """

    queue: str
    message_id: str
    fetch: int
    claim: str
    value: bytes

    @property
    def is_common(self) -> bool:
        """Whether it is of normal or low priority; its header begins with its level."""
        return self.value[:1] > b"1"


class Turn(NamedTuple):
    """What one call brought; `due_in_s` until the next delayed message, None if there is none."""

    lent: list[Lent]
    due_in_s: float | None


class Orders(NamedTuple):
    """What a heartbeat brought back."""

    is_new: bool
    is_quiet: bool
    must_stop: bool


class Process:
    """Talks to Redis in the name of one worker process. Methods may be called by any thread."""

    def __init__(
        self,
        dial: Dial,
        namespace: str,
        *,
        lease_s: float = LEASE_S,
        most_deaths: int = 3,
        record: Mapping[str, object] | None = None,
    ) -> None:
        """`record` is what the process says of itself to operators."""
        self.record = record or {}
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._namespace = namespace
        self._lease_ms = round(lease_s * 1000)
        self._most_deaths = most_deaths
        self._record_key = f"{namespace}:process:{self.name}"
        self._nudge_key = f"{namespace}:nudge:{self.name}"
        self._number = 0
        self._beats = 0
        self._peers: Collection[bytes] = ()
        self._suspects: list[bytes] = []
        self._lock = Lock()
        self._work_link = Link(dial, namespace)
        self._wake_link = Link(dial, namespace, timeout_s=LONGEST_DOZE_S + CALL_TIMEOUT_S)
        self._beat_link = Link(dial, namespace, timeout_s=BEAT_TIMEOUT_S)

    def turn(
        self, want: int, queues: Collection[str], settled: Sequence[Settled], *, common: int | None = None
    ) -> Turn:
        """Settle deliveries and fetch up to `want` messages in one call, at most `common` of them common.

        Raises one of REDIS_ERRORS; messages may then have been lent without being known
        here, so call `give_back_unknown` before the next turn.
        """
        arguments: list[Argument] = [want, want if common is None else common, " ".join(queues)]
        for one in settled:
            arguments += one
        with self._lock:
            fetch, due_in_ms, found = self._work_link.run(WORK, self._numbered(arguments))
        claim = f"{self.name} {fetch}"
        lent = [
            Lent(found[i].decode(), found[i + 1].decode(), fetch, claim, found[i + 2])
            for i in range(0, len(found), 3)
        ]
        return Turn(lent, due_in_ms / 1000 if due_in_ms >= 0 else None)

    def wait_for_work(
        self, queues: Collection[str], timeout_s: float, *, only_pressing: bool = False
    ) -> bytes | None:
        """Block until something may have come to one of the queues: its wake key.

        `only_pressing`: until something urgent or high may have come. No other process is woken for
        the same reason: fetch then, or `pass_on` the key. After a nudge b"", after `timeout_s` None.
        """
        common = [f"{self._namespace}:wake:{queue}" for queue in queues]
        keys = [f"{key}:pressing" for key in common] + ([] if only_pressing else common)
        woken = self._wake_link.command("BZPOPMIN", self._nudge_key, *keys, max(timeout_s, 0.001))
        if woken is None:
            return None
        return b"" if woken[0] == self._nudge_key.encode() else woken[0]

    def nudge(self) -> None:
        """End this process's own `wait_for_work`, or its next one."""
        with self._lock:
            self._work_link.command("ZADD", self._nudge_key, 0, "")

    def pass_on(self, wake_key: bytes) -> None:
        """Let another process be woken."""
        with self._lock:
            self._work_link.command("ZADD", wake_key, 0, "")

    def stop_waiting(self) -> None:
        """End a `wait_for_work` of another thread for good, even if Redis does not answer."""
        self._wake_link.close()

    def give_back_unknown(self, held: Collection[str], *, leave: bool = False) -> int:
        """Hand back every message lent to this process but not held; `leave` ends its leases too."""
        arguments = ["leave" if leave else "stay", *held]
        with self._lock:
            return self._work_link.run(RETURN, self._numbered(arguments))  # type: ignore[no-any-return]

    def beat(self) -> Orders:
        """Extend the lease: one plain command, by the server's clock."""
        found = self._beat_link.command("GETEX", self._record_key, "PX", self._lease_ms)
        if found is None:
            self._register()
            return Orders(is_new=True, is_quiet=False, must_stop=False)
        orders = json.loads(found)
        return Orders(is_new=False, is_quiet=orders["quiet"], must_stop=orders["stop"])

    def recover_others(self) -> int:
        """Give back the messages of processes that fell silent; how many.

        Called after each beat; costs a command in two of them while all are alive. New processes
        are noticed within a few calls.
        """
        self._beats += 1
        if self._beats % LOOK_EVERY and not self._suspects:
            return 0
        if not self._peers or self._beats % PEERS_EVERY == 0:
            self._peers = self._beat_link.command("SMEMBERS", f"{self._namespace}:processes")
        if not self._peers:
            return 0
        keys = [f"{self._namespace}:process:{peer.decode()}" for peer in self._peers]
        if self._beat_link.command("EXISTS", *keys) == len(keys):
            self._suspects = []
            return 0
        recovered, self._suspects = self._beat_link.run(
            RECOVER, (SERVER_CLOCK, self._most_deaths, *self._suspects)
        )
        self._peers = self._beat_link.command("SMEMBERS", f"{self._namespace}:processes")
        return int(recovered)

    def end_beats(self) -> None:
        """Close the heartbeat's connection; gevent's sockets belong to the thread that opened them."""
        self._beat_link.close()

    def _register(self) -> None:
        record = {**self.record, "quiet": False, "stop": False}
        self._beat_link.run(REGISTER, (SERVER_CLOCK, self.name, json.dumps(record), self._lease_ms))

    def leave(self) -> None:
        """Hand back everything and end the leases; if Redis does not hear it, the clock will tell."""
        with suppress(*REDIS_ERRORS):
            self.give_back_unknown((), leave=True)
        self._work_link.close()
        self._wake_link.close()

    def _numbered(self, arguments: Sequence[Argument]) -> tuple[Argument, ...]:
        self._number += 1
        return (SERVER_CLOCK, self.name, self._number, *arguments)
