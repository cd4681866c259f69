"""The sending side: numbered enqueue calls, repeated until Redis answers, never carried out twice."""

from __future__ import annotations

import os
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from threading import Condition
from typing import Any

from brokers.connection import CONNECTION_ERRORS, Argument, Dial, LibraryMissing, Link
from brokers.scripts import Script

SERVER_CLOCK = 0
UNANSWERED: tuple[type[Exception], ...] = (*CONNECTION_ERRORS, LibraryMissing)
# 0.1, 0.2, 0.4, 0.8 s between attempts: outlives a quick restart or failover, then the caller decides.
SEND_ATTEMPTS = 5
FIRST_PAUSE_S = 0.1
# Building a chunk in Python and taking it in Redis overlap.
CHUNKS_IN_FLIGHT = 2
# More greenlets than this wait for a connection instead of opening another one.
MOST_SENDERS = 32


class Sender:
    """One connection whose calls are numbered, so that Redis ignores one that arrives again.

    Calls raise one of CONNECTION_ERRORS when no attempt was answered, and redis-py's
    OutOfMemoryError when Redis has no room.
    """

    def __init__(self, dial: Dial, namespace: str) -> None:
        self._name = uuid.uuid4().hex
        self._number = 0
        self._link = Link(dial, namespace)

    def call(
        self, script: Script, arguments: Sequence[Argument], *, only_call_of: str | None = None
    ) -> list[Any]:
        """With `only_call_of` Redis ignores every further call under this name, whoever makes it.

        It forgets the name after ten quiet minutes (CALLS_KEPT_MINUTES in lua/counts.lua).
        """
        numbered = self._numbered(arguments) if only_call_of is None else _first_of(only_call_of, arguments)
        try:
            return self._link.run(script, numbered)  # type: ignore[no-any-return]
        except CONNECTION_ERRORS:
            return self._repeat(script, numbered)

    def call_many(self, script: Script, chunks: Iterable[Sequence[Argument]]) -> Iterator[list[Any]]:
        """The answers to the chunks, in order."""
        in_flight: deque[Sequence[Argument]] = deque()
        try:
            for chunk in chunks:
                in_flight.append(self._numbered(chunk))
                try:
                    self._link.send(script, in_flight[-1])
                except CONNECTION_ERRORS:
                    yield from self._repeat_all(script, in_flight)
                if len(in_flight) > CHUNKS_IN_FLIGHT:
                    yield from self._receive(script, in_flight)
            while in_flight:
                yield from self._receive(script, in_flight)
        finally:
            if in_flight:  # refused, or the caller stopped: later answers must not be mixed up
                self._link.close()

    def ask(self, script: Script, arguments: Sequence[Argument]) -> Any:
        """Run a script that may be repeated: its arguments have no sender and number.

        It is, once: the server may have closed this connection while it was idle.
        """
        try:
            return self._link.run(script, (SERVER_CLOCK, *arguments))
        except CONNECTION_ERRORS:
            return self._link.run(script, (SERVER_CLOCK, *arguments))

    def close(self) -> None:
        self._link.close()

    def _numbered(self, arguments: Sequence[Argument]) -> tuple[Argument, ...]:
        self._number += 1
        return (SERVER_CLOCK, self._name, self._number, *arguments)

    def _receive(self, script: Script, in_flight: deque[Sequence[Argument]]) -> Iterator[list[Any]]:
        try:
            answer = self._link.receive()
        except UNANSWERED:
            yield from self._repeat_all(script, in_flight)
        else:
            in_flight.popleft()
            yield answer

    def _repeat_all(self, script: Script, in_flight: deque[Sequence[Argument]]) -> Iterator[list[Any]]:
        self._link.close()
        while in_flight:
            answer = self._repeat(script, in_flight[0])
            in_flight.popleft()
            yield answer

    def _repeat(self, script: Script, numbered: Sequence[Argument]) -> list[Any]:
        pause_s = FIRST_PAUSE_S
        for _ in range(SEND_ATTEMPTS - 2):
            try:
                return self._link.run(script, numbered)  # type: ignore[no-any-return]
            except CONNECTION_ERRORS:
                time.sleep(pause_s)
                pause_s *= 2
        return self._link.run(script, numbered)  # type: ignore[no-any-return]


def _first_of(caller: str, arguments: Sequence[Argument]) -> tuple[Argument, ...]:
    return (SERVER_CLOCK, caller, 1, *arguments)


class Senders:
    """The senders of a process, each lent to one thread or greenlet at a time."""

    def __init__(self, dial: Dial, namespace: str) -> None:
        self._dial = dial
        self._namespace = namespace
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._idle: list[Sender] = []
        self._count = 0
        self._returned = Condition()
        self._waiting = 0

    def take(self) -> Sender:
        """An idle sender, a new one, or the next that is given back."""
        if self._pid != os.getpid():  # a fork must not share its parent's sockets
            self._start()
        try:
            return self._idle.pop()  # most recently used: few connections serve few greenlets
        except IndexError:
            return self._open_or_wait()

    def give_back(self, sender: Sender) -> None:
        self._idle.append(sender)
        if self._waiting:
            with self._returned:
                self._returned.notify()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
            self._count -= 1

    def _open_or_wait(self) -> Sender:
        with self._returned:
            if self._count < MOST_SENDERS:
                self._count += 1
                return Sender(self._dial, self._namespace)
            self._waiting += 1
            try:
                while True:
                    try:
                        return self._idle.pop()
                    except IndexError:
                        self._returned.wait()
            finally:
                self._waiting -= 1
