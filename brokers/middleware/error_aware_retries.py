"""What happens to a message whose actor raised: sent again, deferred, or dead.

    Retry, TransientError   sent again with backoff; uses up an attempt
    DeferredError           sent again after its retry_after_s; bounded by age instead
    Shutdown                interrupted by the worker's end: sent again at once
    PermanentError, throws  dead letter at once
    anything else           a bug: few attempts, its traceback kept, dead letter

The decision falls in `after_process_message`, but it is carried out in `before_ack`,
because that hook may fail: when Redis does not take the message, dramatiq waits and calls
it again, and the message stays leased in the meantime. (dramatiq's own Retries sends in
`after_process_message`, where a failure is swallowed and the message then acknowledged.)
"""

from __future__ import annotations

import logging
import os
import random
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from dramatiq.actor import Actor
from dramatiq.broker import Broker, MessageProxy
from dramatiq.errors import BrokerConnectionError, Retry
from dramatiq.message import Message
from dramatiq.middleware import Middleware, MiddlewareError, Shutdown
from dramatiq.worker import Worker

from sync.errors import DeferredError, PermanentError, SyncError, TransientError

KEPT_ATTEMPTS = 10  # the last ones; a message deferred for hours stays small
KEPT_TEXT = 500
KEPT_TRACEBACK = 4000
DEFERRAL_SPREAD = 0.25  # up to a quarter later, so that those who were throttled together come back apart
MAX_DOUBLINGS = 30
DRAMATIQ_WORKER_LOGGER = "dramatiq.worker.WorkerThread"

logger = logging.getLogger(__name__)

OnDead = Callable[[MessageProxy, BaseException], None]


class NotSettled(MiddlewareError, BrokerConnectionError):
    """The outcome of a message is not stored yet; dramatiq keeps the lease and tries again."""

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """How often and how long; the defaults suit work that another system's outage stops."""

    max_retries: int = 2
    min_backoff_s: float = 5.0
    max_backoff_s: float = 300.0
    max_deferral_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Resend:
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Dead:
    reason: str
    error: BaseException
    is_exhausted: bool = False


class ErrorAwareRetries(Middleware):
    """Settles failed messages by the branch of their error; see the module.

    `on_dead(message, error)` is called before a message goes to the dead letters, again
    until it returns if it raises TransientError, so that its run is finished exactly once.
    Actors may set `max_retries`, `min_backoff`, `max_backoff` (ms), `throws`,
    `retry_when` and `on_retry_exhausted` as with dramatiq's own Retries. Other `rules` may be
    put in place at any time; the next failure follows them.
    """

    def __init__(
        self,
        rules: RetryRules = RetryRules(),
        *,
        on_dead: OnDead | None = None,
        draw: Callable[[], float] = random.random,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.rules = rules
        self.on_dead = on_dead
        self._draw = draw
        self._now_s = now_s
        self._host = f"{socket.gethostname()}:{os.getpid()}"
        self._started_s: dict[int, float] = {}
        self._unsettled: dict[str, Resend | Dead] = {}

    @property
    def actor_options(self) -> set[str]:
        return {"max_retries", "min_backoff", "max_backoff", "retry_when", "throws", "on_retry_exhausted"}

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        # dramatiq logs every exception of an actor with its trace; expected ones are told below.
        logging.getLogger(DRAMATIQ_WORKER_LOGGER).addFilter(_is_a_bug)

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        self._started_s[id(message)] = self._now_s()

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        self._started_s.pop(id(message), None)

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        started_s = self._started_s.pop(id(message), None)
        if exception is None:
            return
        self._keep_attempt(message, exception, started_s)
        decision = self._decide(broker, message, exception)
        if isinstance(decision, Dead):
            message.options["dead_reason"] = decision.reason
            message.fail()
            logger.warning("message_dead", extra={**_names(message), "reason": decision.reason})
        else:
            message.options["requeue_timestamp"] = round(self._now_s() * 1000)
            logger.info(
                "message_sent_again",
                extra={**_names(message), "delay_ms": decision.delay_ms, "error": _describe(exception)},
            )
        self._unsettled[message.message_id] = decision

    def before_ack(self, broker: Broker, message: MessageProxy) -> None:
        if not self._unsettled:
            return
        decision = self._unsettled.get(message.message_id)
        if isinstance(decision, Resend):
            try:
                broker.enqueue(cast("Message[Any]", message), delay=decision.delay_ms)
            except Exception as error:
                raise NotSettled(f"{message.message_id} could not be sent again: {error}") from error
        self._unsettled.pop(message.message_id, None)

    def before_nack(self, broker: Broker, message: MessageProxy) -> None:
        decision = self._unsettled.get(message.message_id)
        if isinstance(decision, Dead):
            try:
                self._tell(broker, message, decision)
            except (TransientError, BrokerConnectionError) as error:
                raise NotSettled(f"{message.message_id}: its end could not be recorded: {error}") from error
        self._unsettled.pop(message.message_id, None)

    def _keep_attempt(self, message: MessageProxy, error: BaseException, started_s: float | None) -> None:
        now_s = self._now_s()
        attempt = {
            "error": type(error).__name__,
            "text": str(error)[:KEPT_TEXT],
            "host": self._host,
            "at": round(now_s, 3),
            "duration_s": round(now_s - started_s, 3) if started_s is not None else None,
        }
        message.options["attempts"] = [*message.options.get("attempts", ()), attempt][-KEPT_ATTEMPTS:]

    def _decide(self, broker: Broker, message: MessageProxy, error: BaseException) -> Resend | Dead:
        options = _options(broker, message)
        throws = options.get("throws")
        if isinstance(error, PermanentError) or (throws and isinstance(error, throws)):
            return Dead(_describe(error), error)
        if isinstance(error, DeferredError):
            return self._defer(message, error)
        if isinstance(error, Shutdown):
            return Resend(0)
        if not isinstance(error, SyncError | Retry):
            message.options["traceback"] = "".join(traceback.format_exception(error))[-KEPT_TRACEBACK:]
        return self._retry(message, error, options)

    def _defer(self, message: MessageProxy, error: DeferredError) -> Resend | Dead:
        due_s = message.options.get("due_at_ms", message.message_timestamp) / 1000
        if self._now_s() - due_s >= self.rules.max_deferral_s:
            return Dead(f"deferred for more than {self.rules.max_deferral_s:g} s: {_describe(error)}", error)
        message.options["deferrals"] = message.options.get("deferrals", 0) + 1
        return Resend(round(error.retry_after_s * (1 + DEFERRAL_SPREAD * self._draw()) * 1000))

    def _retry(
        self, message: MessageProxy, error: BaseException, options: Mapping[str, Any]
    ) -> Resend | Dead:
        retries = message.options.get("retries", 0)
        max_retries = options.get("max_retries", self.rules.max_retries)
        retry_when = options.get("retry_when")
        may_retry = retry_when(retries, error) if retry_when else max_retries is None or retries < max_retries
        if not may_retry:
            reason = f"gave up after {retries + 1} attempts: {_describe(error)}"
            return Dead(reason, error, is_exhausted=True)
        message.options["retries"] = retries + 1
        if isinstance(error, Retry) and error.delay is not None:
            return Resend(error.delay)
        first_ms = options.get("min_backoff", self.rules.min_backoff_s * 1000)
        cap_ms = options.get("max_backoff", self.rules.max_backoff_s * 1000)
        ceiling_ms = min(cap_ms, first_ms * 2 ** min(retries, MAX_DOUBLINGS))
        return Resend(round(ceiling_ms * self._draw()))

    def _tell(self, broker: Broker, message: MessageProxy, decision: Dead) -> None:
        if self.on_dead:
            self.on_dead(message, decision.error)
        options = _options(broker, message)
        if decision.is_exhausted and (target := options.get("on_retry_exhausted")):
            counts = {
                "retries": options.get("retries", 0),
                "max_retries": options.get("max_retries", self.rules.max_retries),
            }
            broker.get_actor(target).send(message.asdict(), counts)


def _options(broker: Broker, message: MessageProxy) -> Mapping[str, Any]:
    actor: Actor[..., Any] | None = broker.actors.get(message.actor_name)
    return {**(actor.options if actor else {}), **message.options}


def _is_a_bug(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], SyncError))


def _names(message: MessageProxy) -> dict[str, str]:
    return {"message_id": message.message_id, "actor": message.actor_name}


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:KEPT_TEXT]
