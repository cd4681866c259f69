"""The broker: a `dramatiq.Broker` with real priorities, no polling and no loss.

One message's life:

    enqueue            outgoing.py, sender.py     the copy that is sent, in one call of
                       lua/enqueue.lua            which puts it among waiting or delayed
    a free slot        dispatcher.py, slots.py    fetches for all queues: lua/work.lua lends it
    the actor runs     delivery.py, hooks.py      dramatiq's worker, with our middleware
    ack or nack        dispatcher.py              carried by the process's next call of
                       lua/work.lua               lua/settle.lua: done, or dead

Keys and places: lua/layout.lua. Connections: connection.py.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from threading import current_thread, local
from typing import Any

import redis
from dramatiq import Broker, Consumer, Message, Middleware
from dramatiq.common import dq_name, q_name
from dramatiq.errors import ConnectionClosed, QueueJoinTimeout
from dramatiq.middleware import MiddlewareError
from dramatiq.worker import Worker, _WorkerMiddleware

from brokers.clients import open_tolerant_client
from brokers.codec import COALESCED_OPTION
from brokers.connection import Argument, dialler
from brokers.consumer import QueueConsumer, WorkerConsumer
from brokers.delivery import Delivery, open_delivery
from brokers.dispatcher import Dispatcher
from brokers.envelope import read_text
from brokers.errors import UNTAKEN, BrokerFull, BrokerUnavailable, translate
from brokers.heartbeat import HUNG_AFTER_S
from brokers.holdings import Capacity
from brokers.hooks import Hooks
from brokers.outgoing import (
    PRIORITY_OPTION,
    UPGRADE,
    claim_of,
    enqueue_arguments,
    in_place_of,
    prepare,
)
from brokers.process import LEASE_S, Lent, Process
from brokers.scripts import COUNT, ENQUEUE, PURGE, RECOVER, SEND_AGAIN, Script
from brokers.sender import Senders
from brokers.stored import text_of

# A chunk of enqueue_many keeps the server busy for a few milliseconds, not longer.
CHUNK = 500
PURGE_CHUNK = 2000
# The stock broker's settings of its upkeep: accepted, and without meaning here.
IGNORED_SETTINGS = frozenset({"maintenance_chance", "heartbeat_timeout", "dead_message_ttl"})


class _Local(local):
    """What a thread or greenlet is at: the delivery it settles, the batch it collects."""

    delivery: Delivery | None = None
    batch: list[tuple[Message[Any], int | None]] | None = None


class PriorityRedisBroker(Broker):
    """Redis or Valkey 7.0 or newer; `client` may be a Sentinel's or a cluster's.

    Message and actor options: `broker_priority` (urgent, high, normal, low), `fair_key`,
    `unique_key`, `unique_strength`. A message whose unique key is held comes back from `enqueue`
    with `options["coalesced_with"] = {"message_id", "run_id"}` and is not enqueued.

    Further `parameters` go to `redis.Redis`, except the stock broker's settings of its upkeep
    (IGNORED_SETTINGS), which are accepted and mean nothing here. Raises BrokerUnavailable when Redis does not
    answer several attempts, BrokerFull at maxmemory.
    """

    def __init__(  # noqa: PLR0913 -- the constructor that dramatiq's users know, and our own settings
        self,
        *,
        url: str | None = None,
        client: Any = None,
        namespace: str = "clubsync",
        middleware: list[Middleware] | None = None,
        max_deaths: int = 3,
        lease_s: float = LEASE_S,
        hung_after_s: float = HUNG_AFTER_S,
        **parameters: Any,
    ) -> None:
        self._hooks = Hooks(self)
        super().__init__(middleware=middleware)
        self.actor_options.add(PRIORITY_OPTION)
        self.queues: set[str] = set()
        self.namespace = namespace
        settings = {name: value for name, value in parameters.items() if name not in IGNORED_SETTINGS}
        self.client = client if client is not None else open_tolerant_client(url, **settings)
        self.max_deaths = max_deaths
        self.lease_s = lease_s
        self.hung_after_s = hung_after_s
        self.key = f"{{{namespace}}}"  # one hash tag: one slot of a cluster
        self.dial = dialler(self.client, self.key)
        self._senders = Senders(self.dial, self.key)
        self._dispatchers: dict[Worker, Dispatcher] = {}
        self._suspects: list[bytes] = []
        self._capacity: Capacity | None = None
        self._local = _Local()

    # -- declaring

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue; nothing happens if it is declared already."""
        if queue_name in self.queues:
            return
        self.emit_before("declare_queue", queue_name)
        self.queues.add(queue_name)
        self.emit_after("declare_queue", queue_name)
        # Middleware may count on hearing of it; its consumer has nothing to do.
        delayed_name = dq_name(queue_name)
        self.delay_queues.add(delayed_name)
        self.emit_after("declare_delay_queue", delayed_name)

    def get_declared_queues(self) -> set[str]:
        return self.queues.copy()

    # -- sending

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Enqueue a message, to start after `delay` ms; repeatable by its id.

        A message that a worker holds is moved from its lease to its new place, so a retry is
        never in two places and never in none.
        """
        message, delay = prepare(message, delay)
        self.emit_before("enqueue", message, delay)
        batch = self._local.batch
        if batch is not None:
            batch.append((message, delay))
            return message
        try:
            self._send(message, delay)
        except (BrokerUnavailable, BrokerFull):
            if self._local.delivery is not None:
                self._local.delivery.owed.append((message, delay))
            raise
        self.emit_after("enqueue", message, delay)
        return message

    def enqueue_once(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """As `enqueue`, but not again within ten minutes, even if it has ended; not for unique keys."""
        message, delay = prepare(message, delay)
        self.emit_before("enqueue", message, delay)
        self.call(ENQUEUE, self._arguments(message, delay, ""), only_call_of=message.message_id)
        self.emit_after("enqueue", message, delay)
        return message

    def enqueue_many(
        self, messages: Iterable[Message[Any] | tuple[Message[Any], int | None]]
    ) -> list[Message[Any]]:
        """Enqueue messages, or pairs of message and delay in ms, in a few round trips.

        Any mix of actors, delays, priorities and unique keys; hooks run for each message. When
        one chunk fails, the ones before it are enqueued, and sending all again does no harm.
        """

        def prepared() -> Iterator[tuple[Message[Any], int | None]]:
            for item in messages:
                message, delay = prepare(*item) if isinstance(item, tuple) else prepare(item, None)
                self.emit_before("enqueue", message, delay)
                yield message, delay

        return self._send_many(prepared())

    @contextmanager
    def batch(self) -> Iterator[None]:
        """What this thread enqueues inside is sent together at the end, as by `enqueue_many`.

        For code that sends one by one, such as dramatiq's `group.run()`. Nothing is sent if the
        block raises.
        """
        outer, self._local.batch = self._local.batch, []
        try:
            yield
            collected = self._local.batch
        finally:
            self._local.batch = outer
        self._send_many(collected)

    def _send_many(self, messages: Iterable[tuple[Message[Any], int | None]]) -> list[Message[Any]]:
        sent: list[Message[Any]] = []
        pending: deque[tuple[Message[Any], int | None]] = deque()

        def chunks() -> Iterator[list[Argument]]:
            source = iter(messages)
            while some := list(islice(source, CHUNK)):
                pending.extend(some)
                yield [
                    part
                    for message, delay in some
                    for part in self._arguments(message, delay, claim_of(message))
                ]

        sender = self._senders.take()
        try:
            for answers in sender.call_many(ENQUEUE, chunks()):
                for answer in answers:
                    message, delay = pending.popleft()
                    self._read_answer(message, delay, answer)
                    self.emit_after("enqueue", message, delay)
                    sent.append(message)
        except UNTAKEN as error:
            raise translate(error) from error
        finally:
            self._senders.give_back(sender)
        return sent

    def _arguments(self, message: Message[Any], delay: int | None, claim: str) -> tuple[Argument, ...]:
        return enqueue_arguments(message, delay, self.actors.get(message.actor_name), claim)

    def _send(self, message: Message[Any], delay: int | None) -> None:
        claim = claim_of(message)
        script = SEND_AGAIN if claim else ENQUEUE
        self._read_answer(message, delay, self.call(script, self._arguments(message, delay, claim))[0])

    def _read_answer(self, message: Message[Any], delay: int | None, answer: Any) -> None:
        if not isinstance(answer, list):
            return
        holder_id, run_id = answer[0].decode(), read_text(answer[1].decode())
        message.options[COALESCED_OPTION] = {"message_id": holder_id, "run_id": run_id}
        if answer[2]:  # asks for more than the holder, which still waits
            stronger = in_place_of(message, holder_id, run_id)
            self.call(ENQUEUE, self._arguments(stronger, delay, UPGRADE))

    # -- consuming

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """A consumer of one queue; within a Worker, one that leaves fetching to the dispatcher."""
        for worker, dispatcher in self._dispatchers.items():
            if worker.consumers.get(queue_name) is current_thread():
                return WorkerConsumer(dispatcher, queue_name, timeout)
        process = self.new_process(threads=0, queues=[queue_name])
        return QueueConsumer(self, process, queue_name, prefetch, timeout)

    def new_process(self, *, threads: int, queues: Collection[str] | None = None) -> Process:
        """A worker process of this broker, not yet known to Redis; `queues` None: it serves all."""
        return Process(
            self.dial,
            self.key,
            lease_s=self.lease_s,
            most_deaths=self.max_deaths,
            record={
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "threads": threads,
                "queues": None if queues is None else sorted(queues),
                "started_at_s": time.time(),
            },
        )

    def open_delivery(self, lent: Lent) -> Delivery:
        """The message that was lent, with its lease. Raises DecodeError."""
        delivery, was_delayed = open_delivery(lent)
        if was_delayed:
            with suppress(MiddlewareError):  # nobody can refuse a delay that is over
                self.emit_before("delay_message", delivery)
        return delivery

    def pay_owed(self, delivery: Delivery) -> None:
        """Send what a hook failed to send after the message was processed.

        Raises ConnectionClosed, upon which dramatiq's worker settles the message again later.
        """
        while delivery.owed:
            message, delay = delivery.owed[0]
            try:
                self._send(message, delay)
            except (BrokerFull, redis.RedisError) as error:
                raise ConnectionClosed(error) from error
            delivery.owed.pop(0)

    # -- hooks

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        if signal == "worker_boot":
            self._attach(args[0])
        elif signal == "worker_shutdown" and args[0] in self._dispatchers:
            self._dispatchers[args[0]].stop_fetching()
        self._hooks.call_before(signal, *args, **kwargs)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        if signal == "worker_boot" and self._capacity:
            self._dispatchers[args[0]].resize(self._capacity)
        if signal == "worker_shutdown" and args[0] in self._dispatchers:
            self._detach(args[0])
        is_settling = signal in ("process_message", "skip_message") and isinstance(args[0], Delivery)
        if is_settling:
            self._local.delivery = args[0]
        try:
            self._hooks.call_after(signal, *args, **kwargs)
        finally:
            if is_settling:
                self._local.delivery = None

    def resize(self, *, slots: int, reserved: int) -> None:
        """From now on a worker here carries out `slots` messages at once, as `Capacity` says."""
        self._capacity = Capacity(slots, reserved)
        for dispatcher in self._dispatchers.values():
            dispatcher.resize(self._capacity)

    def dispatcher_of(self, worker: Worker) -> Dispatcher:
        """Who fetches for a worker that runs."""
        return self._dispatchers[worker]

    def _attach(self, worker: Worker) -> None:
        dispatcher = Dispatcher(
            self,
            worker,
            self.new_process(threads=worker.worker_threads, queues=worker.consumer_whitelist),
            hung_after_s=self.hung_after_s,
            # It has more slots once it has more threads, see `emit_after`.
            capacity=Capacity(worker.worker_threads, self._capacity.reserved if self._capacity else 0),
        )
        worker.work_queue = dispatcher.slots  # type: ignore[assignment]
        self._dispatchers[worker] = dispatcher
        dispatcher.start()

    def _detach(self, worker: Worker) -> None:
        self._dispatchers.pop(worker).close()
        # dramatiq leaves it in place; it would fetch for the stopped worker once a queue is declared.
        self.middleware[:] = [
            one
            for one in self.middleware
            if not (isinstance(one, _WorkerMiddleware) and one.worker is worker)
        ]

    # -- operating

    def recover(self) -> int:
        """Give back the messages of worker processes found silent twice, by two calls; how many.

        Workers do it by themselves; this is for when there may be none.
        """
        recovered, self._suspects = self.ask(RECOVER, (self.max_deaths, *self._suspects))
        return int(recovered)

    def set_queue_limit(self, queue_name: str, limit: int | None) -> None:
        """At most `limit` messages of the queue run at once, over all workers; None: no limit."""
        rule = f"limit:{queue_name}"
        if limit is None:
            self.client.hdel(f"{self.key}:rules", rule)
        else:
            self.client.hset(f"{self.key}:rules", rule, limit)
        self.wake(queue_name)

    def wake(self, queue_name: str) -> None:
        """Let idle processes look at the queue: something of any priority may start now."""
        for level in (":pressing", ""):
            self.client.zadd(f"{self.key}:wake:{queue_name}{level}", {"": 0})

    def call(
        self, script: Script, arguments: Sequence[Argument], *, only_call_of: str | None = None
    ) -> list[Any]:
        """Run a script whose call must not be carried out twice, or not again under a name."""
        sender = self._senders.take()
        try:
            return sender.call(script, arguments, only_call_of=only_call_of)
        except UNTAKEN as error:
            raise translate(error) from error
        finally:
            self._senders.give_back(sender)

    def ask(self, script: Script, arguments: Sequence[Argument]) -> Any:
        """Run a script whose call may be repeated."""
        sender = self._senders.take()
        try:
            return sender.ask(script, arguments)
        except UNTAKEN as error:
            raise translate(error) from error
        finally:
            self._senders.give_back(sender)

    def known_queues(self) -> list[str]:
        """Every queue that a message was ever sent to, by whichever process."""
        names: Any = self.client.smembers(f"{self.key}:queues")
        return sorted(text_of(name) for name in names)

    def queue_size(self, queue_name: str) -> int:
        """Messages that wait, are delayed or run."""
        return sum(self.ask(COUNT, (q_name(queue_name),))[:6])

    def join(self, queue_name: str, *, interval: int = 100, timeout: int | None = None) -> None:
        """Wait until no message of the queue waits, is delayed or runs.

        `interval` and `timeout` in ms. Raises QueueJoinTimeout.
        """
        deadline = None if timeout is None else time.monotonic() + timeout / 1000
        while self.queue_size(queue_name):
            if deadline is not None and time.monotonic() >= deadline:
                raise QueueJoinTimeout(queue_name)
            time.sleep(interval / 1000)

    def flush(self, queue_name: str) -> None:
        """Delete every message of a queue, dead ones included."""
        self.purge(queue_name, "waiting", "delayed", "leased", "dead")

    def flush_all(self) -> None:
        for queue_name in self.queues:
            self.flush(queue_name)

    def purge(self, queue_name: str, *places: str) -> int:
        """Delete the messages of a queue that are `waiting`, `delayed`, `leased` or `dead`; how many."""
        deleted = 0
        while some := self.ask(PURGE, (q_name(queue_name), PURGE_CHUNK, *places)):
            deleted += len(some)
        return deleted

    def close(self) -> None:
        for dispatcher in self._dispatchers.values():
            dispatcher.close()
        self._dispatchers.clear()
        self._senders.close()
