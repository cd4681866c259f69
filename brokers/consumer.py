"""dramatiq's consumers: the quiet ones of a Worker, and the one that a program iterates itself."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dramatiq import Consumer, MessageProxy
from dramatiq.common import q_name
from dramatiq.errors import ConnectionClosed, DecodeError

from brokers.connection import CONNECTION_ERRORS
from brokers.delivery import Delivery, failed, undecodable
from brokers.dispatcher import Dispatcher
from brokers.heartbeat import Heartbeat
from brokers.process import Process

if TYPE_CHECKING:
    from brokers.redis import PriorityRedisBroker


class WorkerConsumer(Consumer):
    """A Worker's consumer of one queue: never yields, because the dispatcher fetches for all.

    It tells the dispatcher when its queue may be served, and passes on how deliveries end.
    """

    def __init__(self, dispatcher: Dispatcher, queue_name: str, timeout_ms: int) -> None:
        self._dispatcher = dispatcher
        self._queue_name = queue_name
        self._timeout_s = timeout_ms / 1000
        self._is_serving = False

    def __next__(self) -> None:
        # dramatiq's consumer thread can settle deliveries only once it iterates.
        if not self._is_serving and q_name(self._queue_name) == self._queue_name:
            self._dispatcher.serve(self._queue_name)
            self._is_serving = True
        self._dispatcher.wait_for_close(self._timeout_s)

    @property
    def outstanding_message_count(self) -> int:
        return self._dispatcher.held_count(q_name(self._queue_name))

    # A message that no consumer delivered holds no lease, so there is nothing to settle.

    def ack(self, message: MessageProxy) -> None:
        if isinstance(message, Delivery):
            self._dispatcher.ack(message)

    def nack(self, message: MessageProxy) -> None:
        if isinstance(message, Delivery):
            self._dispatcher.nack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        self._dispatcher.hand_back(message for message in messages if isinstance(message, Delivery))

    def close(self) -> None:
        if self._is_serving:
            self._dispatcher.stop_serving(self._queue_name)
            self._is_serving = False


class QueueConsumer(Consumer):
    """Iterates over one queue by itself, without a Worker: a process of its own to Redis."""

    def __init__(
        self, broker: PriorityRedisBroker, process: Process, queue_name: str, prefetch: int, timeout_ms: int
    ) -> None:
        self._broker = broker
        self._process = process
        self._queue = q_name(queue_name)
        self._prefetch = prefetch
        self._timeout_s = timeout_ms / 1000
        self._fetched: deque[Delivery] = deque()
        self._held: dict[str, Delivery] = {}
        self._heartbeat: Heartbeat | None = None
        self._must_resync = False
        self._due_in_s: float | None = None

    @property
    def outstanding_message_count(self) -> int:
        return len(self._held)

    def __next__(self) -> MessageProxy | None:
        try:
            self._start()
            if not self._fetched and not self._fetch():
                self._wait()
                self._fetch()
        except CONNECTION_ERRORS as error:
            self._must_resync = True
            raise ConnectionClosed(error) from None
        return self._fetched.popleft() if self._fetched else None

    def ack(self, message: MessageProxy) -> None:
        self._settle(message, "ack")

    def nack(self, message: MessageProxy) -> None:
        self._settle(message, "nack")

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        for message in messages:
            self._settle(message, "back")

    def close(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.close()
            self._heartbeat = None
        self._process.leave()

    def _start(self) -> None:
        if self._heartbeat is None:
            # The loop is the program's own: between two messages it may take its time.
            self._heartbeat = Heartbeat(self._process, hung_after_s=math.inf)
            self._heartbeat.start()
        self._heartbeat.loop_is_alive()
        if self._must_resync:
            self._process.give_back_unknown(self._held.keys())
            self._must_resync = False

    def _wait(self) -> None:
        if len(self._held) >= self._prefetch:
            time.sleep(self._timeout_s)
            return
        due_in_s = self._due_in_s
        self._process.wait_for_work(
            [self._queue], self._timeout_s if due_in_s is None else min(due_in_s, self._timeout_s)
        )

    def _fetch(self) -> bool:
        want = self._prefetch - len(self._held)
        if want <= 0:
            return False
        turn = self._process.turn(want, [self._queue], ())
        self._due_in_s = turn.due_in_s
        for lent in turn.lent:
            try:
                delivery = self._broker.open_delivery(lent)
            except DecodeError as error:
                self._process.turn(0, (), [undecodable(lent, error)])
            else:
                self._held[lent.message_id] = delivery
                self._fetched.append(delivery)
        return bool(self._fetched)

    def _settle(self, message: MessageProxy, how: str) -> None:
        if not isinstance(message, Delivery):
            return
        try:
            self._broker.pay_owed(message)
            settled = failed(message) if how == "nack" else message.settled(how)
            self._process.turn(0, (), [settled])
        except CONNECTION_ERRORS as error:
            raise ConnectionClosed(error) from None
        self._held.pop(message.message_id, None)
