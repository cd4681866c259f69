"""The broker: a `dramatiq.Broker` with real priorities, no polling and no loss.

One message's life: `enqueue` here -> lua/enqueue.lua -> waiting or delayed -> lua/work.lua lends
it to a worker process (dispatcher.py) -> the actor runs -> ack or nack, carried by the same
process's next call of lua/work.lua. Keys and places: lua/layout.lua.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from threading import current_thread, local
from typing import Any
from urllib.parse import urlsplit

import redis
from dramatiq import Broker, Consumer, Message, Middleware
from dramatiq.common import current_millis, dq_name, q_name
from dramatiq.errors import BrokerError, ConnectionClosed, DecodeError, QueueJoinTimeout
from dramatiq.middleware import MiddlewareError, ShutdownNotifications, TimeLimit
from dramatiq.worker import Worker, _WorkerMiddleware
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from brokers import codec, envelope
from brokers.clients import open_client
from brokers.codec import COALESCED_OPTION
from brokers.connection import CALL_TIMEOUT_S, CONNECTION_ERRORS, Argument, dialler
from brokers.consumer import QueueConsumer, WorkerConsumer
from brokers.delivery import Delivery
from brokers.dispatcher import Dispatcher
from brokers.envelope import (
    ETA_OPTION,
    ID_OPTION,
    MOST_BIAS,
    PLACES_A_STEP,
    LeasedId,
    level_of,
    read_text,
)
from brokers.heartbeat import HUNG_AFTER_S
from brokers.process import LEASE_S, Lent, Process, Settled
from brokers.scripts import COUNT, ENQUEUE, PURGE, RECOVER, SEND_AGAIN, Script
from brokers.sender import Senders

# A chunk of enqueue_many keeps the server busy for a few milliseconds, not longer.
CHUNK = 500
PURGE_CHUNK = 2000
PRIORITY_OPTION = "broker_priority"
IGNORED_SETTINGS = ("maintenance_chance", "heartbeat_timeout", "dead_message_ttl")
UNTAKEN: tuple[type[Exception], ...] = (*CONNECTION_ERRORS, redis.exceptions.OutOfMemoryError)
TOLD_OPTIONS = ("dead_reason", "attempts", "traceback")


class BrokerFull(BrokerError):
    """Redis has reached maxmemory: the message was not enqueued. Leased ones still settle."""

    def __init__(self) -> None:
        super().__init__(  # type: ignore[no-untyped-call] # dramatiq leaves its errors untyped
            "Redis is at maxmemory; the message was not enqueued. Free memory or raise maxmemory."
        )


class BrokerUnavailable(ConnectionClosed, redis.ConnectionError):
    """Redis did not answer; dramatiq's workers know it as the one, redis-py's users as the other."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))  # type: ignore[no-untyped-call] # dramatiq leaves its errors untyped


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
        self._hooked: list[Middleware] = []
        self._hooks: dict[str, list[Middleware]] = {}
        super().__init__(middleware=middleware)
        self.actor_options.add(PRIORITY_OPTION)
        self.queues: set[str] = set()
        self.namespace = namespace
        self.client = client if client is not None else _open_client(url, parameters)
        self.max_deaths = max_deaths
        self.lease_s = lease_s
        self.hung_after_s = hung_after_s
        self.key = f"{{{namespace}}}"  # one hash tag: one slot of a cluster
        self.dial = dialler(self.client, self.key)
        self._senders = Senders(self.dial, self.key)
        self._dispatchers: dict[Worker, Dispatcher] = {}
        self._suspects: list[bytes] = []
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
        message, delay = self._prepare(message, delay)
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

    def enqueue_many(
        self, messages: Iterable[Message[Any] | tuple[Message[Any], int | None]]
    ) -> list[Message[Any]]:
        """Enqueue messages, or pairs of message and delay in ms, in a few round trips.

        Any mix of actors, delays, priorities and unique keys; hooks run for each message. When
        one chunk fails, the ones before it are enqueued, and sending all again does no harm.
        """

        def prepared() -> Iterator[tuple[Message[Any], int | None]]:
            for item in messages:
                message, delay = (
                    self._prepare(*item) if isinstance(item, tuple) else self._prepare(item, None)
                )
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
                yield [part for message, delay in some for part in self._arguments(message, delay)]

        with self._senders.lend() as sender, _translated_errors():
            for answers in sender.call_many(ENQUEUE, chunks()):
                for answer in answers:
                    message, delay = pending.popleft()
                    self._read_answer(message, delay, answer)
                    self.emit_after("enqueue", message, delay)
                    sent.append(message)
        return sent

    def _prepare(self, message: Message[Any], delay: int | None) -> tuple[Message[Any], int | None]:
        """The copy that is sent: its options name it in Redis, and say when it is due."""
        options = message.options.copy()
        if options.get(ID_OPTION) != message.message_id:
            options[ID_OPTION] = message.message_id
        if delay is not None:
            options[ETA_OPTION] = current_millis() + delay
        elif isinstance(eta := options.get(ETA_OPTION), int | float):
            delay = max(int(eta) - current_millis(), 0)
        copy: Message[Any] = Message(
            q_name(message.queue_name),
            message.actor_name,
            message.args,
            message.kwargs,
            options,
            message.message_id,
            message.message_timestamp,
        )
        return copy, delay

    def _arguments(
        self, message: Message[Any], delay: int | None, claim: str | None = None
    ) -> tuple[Argument, ...]:
        options = message.options
        if claim is None:
            claim = _claim(message)
        priority = options.get(PRIORITY_OPTION)
        bias = 0
        actor = self.actors.get(message.actor_name)
        if actor is not None:
            if priority is None:
                priority = actor.options.get(PRIORITY_OPTION)
            if actor.priority:
                bias = max(-MOST_BIAS, min(actor.priority * PLACES_A_STEP, MOST_BIAS))
        due_ms = int(options.get(ETA_OPTION) or 0)
        value = envelope.pack(
            message,
            level=2 if priority is None else level_of(priority),
            bias=bias,
            due_ms=due_ms,
            body=codec.encode(message),
        )
        return message.queue_name, message.message_id, max(delay or 0, 0), claim, value

    def _send(self, message: Message[Any], delay: int | None) -> None:
        arguments = self._arguments(message, delay)
        script = SEND_AGAIN if arguments[3] else ENQUEUE
        self._read_answer(message, delay, self.call(script, arguments)[0])

    def _read_answer(self, message: Message[Any], delay: int | None, answer: Any) -> None:
        if not isinstance(answer, list):
            return
        holder_id, run_id = answer[0].decode(), read_text(answer[1].decode())
        message.options[COALESCED_OPTION] = {"message_id": holder_id, "run_id": run_id}
        if answer[2]:
            self._upgrade(message, delay, holder_id, run_id)

    def _upgrade(self, message: Message[Any], delay: int | None, holder_id: str, run_id: str | None) -> None:
        """Put this stronger request in the waiting one's place, under the waiting one's names."""
        kwargs = message.kwargs if run_id is None else {**message.kwargs, "run_id": run_id}
        stronger: Message[Any] = Message(
            message.queue_name,
            message.actor_name,
            message.args,
            kwargs,
            {**message.options, ID_OPTION: holder_id},
            holder_id,
            message.message_timestamp,
        )
        self.call(ENQUEUE, self._arguments(stronger, delay, claim="upgrade"))

    # -- consuming

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """A consumer of one queue; within a Worker, one that leaves fetching to the dispatcher."""
        for worker, dispatcher in self._dispatchers.items():
            if worker.consumers.get(queue_name) is current_thread():
                return WorkerConsumer(dispatcher, queue_name, timeout)
        process = self.new_process(threads=0)
        return QueueConsumer(self, process, queue_name, prefetch, timeout)

    def new_process(self, *, threads: int) -> Process:
        """A worker process of this broker, not yet known to Redis."""
        return Process(
            self.dial,
            self.key,
            lease_s=self.lease_s,
            most_deaths=self.max_deaths,
            record={
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "threads": threads,
                "started_at_s": time.time(),
            },
        )

    def open_delivery(self, lent: Lent) -> Delivery:
        """The message that was lent, with its lease. Raises DecodeError."""
        try:
            header, body = envelope.unpack(lent.value)
        except ValueError as error:
            raise DecodeError("The message has no header.", lent.value, error) from error
        message = codec.decode(body)
        if message.queue_name != lent.queue or message.message_id != lent.message_id:
            # Somebody edited it; where Redis keeps it counts.
            message = replace(message, queue_name=lent.queue, message_id=lent.message_id)
        message.options[ID_OPTION] = LeasedId(lent.message_id, lent.queue, lent.claim)
        delivery = Delivery(message, lent)
        if header.due_ms:
            with suppress(MiddlewareError):  # nobody can refuse a delay that is over
                self.emit_before("delay_message", delivery)
        return delivery

    def undecodable(self, lent: Lent, error: DecodeError) -> Settled:
        """How a message ends that nobody can read: dead, by itself."""
        self.logger.error("Message %s of queue %s cannot be read; it is dead.", lent.message_id, lent.queue)
        return self.rejected(lent, kind="undecodable", error=f"{error}: {error.error}")

    def rejected(
        self, lent: Lent, *, kind: str = "failed", error: str = "rejected", **facts: object
    ) -> Settled:
        """A message that goes to the dead letters, with what they say of it."""
        reason = {"kind": kind, "error": error, "host": socket.gethostname(), **facts}
        return Settled("nack", lent.queue, lent.message_id, lent.fetch, json.dumps(reason).encode())

    def failed(self, delivery: Delivery) -> Settled:
        """How a message ends whose attempts have failed."""
        error = delivery._exception  # noqa: SLF001 -- dramatiq's own results middleware reads it too
        text = f"{type(error).__name__}: {error}" if error is not None else "rejected"
        # The stored message is as it was lent: what its last attempt added is told here.
        told = {name: delivery.options[name] for name in TOLD_OPTIONS if name in delivery.options}
        return self.rejected(delivery.lent, error=text, retries=delivery.options.get("retries", 0), **told)

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
        name = "before_" + signal
        for middleware in self._hooked_to(name):
            try:
                getattr(middleware, name)(self, *args, **kwargs)
            except MiddlewareError:
                raise
            except Exception:
                self.logger.critical("Unexpected failure in %s of %r.", name, middleware, exc_info=True)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        if signal == "worker_shutdown" and args[0] in self._dispatchers:
            self._detach(args[0])
        name = "after_" + signal
        is_settling = signal in ("process_message", "skip_message") and isinstance(args[0], Delivery)
        if is_settling:
            self._local.delivery = args[0]
        try:
            for middleware in self._hooked_to(name):
                try:
                    getattr(middleware, name)(self, *args, **kwargs)
                except Exception:
                    self.logger.critical("Unexpected failure in %s of %r.", name, middleware, exc_info=True)
        finally:
            if is_settling:
                self._local.delivery = None

    def _hooked_to(self, name: str) -> list[Middleware]:
        """The middleware that does anything on a signal, in the order to call it."""
        if self._hooked != self.middleware:
            self._hooked = self.middleware.copy()
            self._hooks = {}
        hooked = self._hooks.get(name)
        if hooked is None:
            empty = getattr(Middleware, name, None)
            hooked = [
                middleware
                for middleware in self.middleware
                if _function(getattr(middleware, name, empty)) is not empty
            ]
            if name.startswith("after_"):
                hooked.reverse()
                # An interrupt must not strike while a retry is being sent: the clock stops first.
                hooked.sort(
                    key=lambda middleware: not isinstance(middleware, (TimeLimit, ShutdownNotifications))
                )
            self._hooks[name] = hooked
        return hooked

    def dispatcher_of(self, worker: Worker) -> Dispatcher:
        """Who fetches for a worker that runs."""
        return self._dispatchers[worker]

    def _attach(self, worker: Worker) -> None:
        dispatcher = Dispatcher(
            self, worker, self.new_process(threads=worker.worker_threads), hung_after_s=self.hung_after_s
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
        self.client.zadd(f"{self.key}:wake:{queue_name}", {"": 0})

    def call(self, script: Script, arguments: Sequence[Argument]) -> list[Any]:
        """Run a script whose call must not be carried out twice."""
        sender = self._senders.take()
        try:
            return sender.call(script, arguments)
        except UNTAKEN as error:
            raise _translated(error) from error
        finally:
            self._senders.give_back(sender)

    def ask(self, script: Script, arguments: Sequence[Argument]) -> Any:
        """Run a script whose call may be repeated."""
        with self._senders.lend() as sender, _translated_errors():
            return sender.ask(script, arguments)

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
            deleted += some
        return deleted

    def close(self) -> None:
        for dispatcher in self._dispatchers.values():
            dispatcher.close()
        self._dispatchers.clear()
        self._senders.close()


def _open_client(url: str | None, parameters: dict[str, Any]) -> redis.Redis:
    if "connection_pool" in parameters:
        return redis.Redis(connection_pool=parameters["connection_pool"])
    # Tries a command again at most twice: this client's commands read, or may be repeated. The
    # broker's own links never repeat blindly.
    settings = {
        "socket_timeout": CALL_TIMEOUT_S,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), 2),
        **{name: value for name, value in parameters.items() if name not in IGNORED_SETTINGS},
    }
    if url is not None and "+" in urlsplit(url).scheme:
        return open_client(url, max_connections=settings.get("max_connections", 32))
    # Waits for a free connection instead of failing.
    waiting = {"max_connections": settings.pop("max_connections", 32), "timeout": settings.pop("timeout", 10)}
    if url is not None:
        pool = redis.BlockingConnectionPool.from_url(url, **waiting, **settings)
    else:
        plain = redis.Redis(**settings).connection_pool  # knows TLS and sockets by redis-py's names
        pool = redis.BlockingConnectionPool(
            connection_class=plain.connection_class, **waiting, **plain.connection_kwargs
        )
    return redis.Redis(connection_pool=pool)


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except UNTAKEN as error:
        raise _translated(error) from error


def _translated(error: Exception) -> Exception:
    is_full = isinstance(error, redis.exceptions.OutOfMemoryError)
    return BrokerFull() if is_full else BrokerUnavailable(error)


def _claim(message: Message[Any]) -> str:
    """The lease that is given up by sending this message again, "" if it has none in its queue."""
    held = message.options[ID_OPTION]
    return held.claim if isinstance(held, LeasedId) and held.queue == message.queue_name else ""


def _function(hook: Any) -> Any:
    """What a bound method calls; a hook may be a static method or set on the object, too."""
    return getattr(hook, "__func__", hook)
