"""The work queue of a dramatiq Worker: a thread that asks for its next message is a free slot."""

from __future__ import annotations

import queue
from collections.abc import Callable
from threading import Condition, Lock

from brokers.delivery import Delivery

# How long a thread that has nothing left to do waits before it looks whether it may stop.
CLOSING_PAUSE_S = 0.02


class Slots:
    """The work queue of a dramatiq Worker, with room for no more than its threads ask for."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._lock = Lock()
        self._done = Condition(Lock())
        self._asking = 0
        self.unfinished_tasks = 0
        self.on_ask: Callable[[], None] = lambda: None
        self._is_ending = False

    @property
    def free_count(self) -> int:
        """Threads that ask for a message and have been given none."""
        return max(self._asking, 0)

    def put(self, item: Delivery) -> None:
        with self._lock:
            self._asking -= 1
            self.unfinished_tasks += 1
        self._items.put(item)

    def get(self, timeout: float | None = None) -> Delivery:
        """The next message. Raises queue.Empty after `timeout` seconds, or soon once it ends."""
        if self._is_ending:
            timeout = CLOSING_PAUSE_S
        with self._lock:
            self._asking += 1
        self.on_ask()
        try:
            item = self._items.get(timeout=timeout)
        except queue.Empty:
            with self._lock:
                self._asking -= 1
            raise
        if item is None:
            raise queue.Empty
        return item

    def get_nowait(self) -> Delivery:
        """A message that no thread took. Raises queue.Empty."""
        item = self._items.get_nowait()
        while item is None:
            item = self._items.get_nowait()
        with self._lock:
            self._asking += 1
        return item

    def end(self) -> None:
        """Let the threads that ask see at once that they may stop."""
        self._is_ending = True
        with self._lock:
            asking, self._asking = self.free_count, min(self._asking, 0)
        for _ in range(asking):
            self._items.put(None)

    def task_done(self) -> None:
        with self._lock:
            self.unfinished_tasks -= 1
            is_last = not self.unfinished_tasks
        if is_last:
            with self._done:
                self._done.notify_all()

    def join(self) -> None:
        with self._done:
            while self.unfinished_tasks:
                self._done.wait()
