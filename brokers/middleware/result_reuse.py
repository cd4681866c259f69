"""Answers an equal request with the result of the last one, as long as that is fresh."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import msgspec
import redis
from dramatiq.actor import Actor
from dramatiq.broker import Broker, MessageProxy
from dramatiq.middleware import Middleware, SkipMessage

from brokers.results import ResultStore, Reused

# They differ between equal requests.
REQUEST_FIELDS = frozenset({"run_id", "batch_id", "requested_at", "fresh_after"})

OnReused = Callable[[MessageProxy, Reused], None]
FreshMs = Callable[[str], int]


def never_fresh(_actor_name: str) -> int:
    return 0


class ResultReuse(Middleware):
    """The actor option `result_fresh` (ms): how long its result answers equal messages.

    `fresh_ms` says it for actors without the option, by their names; 0 is never, and a result of None
    is not kept. What it says may change: a stored result answers for as long as it was stored for.

    Such a message (same actor and arguments, but for `REQUEST_FIELDS`) does not run. It is
    given the stored result, `on_reused` is called, and `ResultStore.find_reused` tells
    whose it is. Stands before dramatiq's Results in the chain.
    """

    def __init__(
        self,
        client: redis.Redis,
        results: ResultStore,
        *,
        namespace: str,
        on_reused: OnReused | None = None,
        fresh_ms: FreshMs = never_fresh,
    ) -> None:
        self._client = client
        self._results = results
        self._prefix = f"{{{namespace}}}:fresh:"
        self._on_reused = on_reused
        self._fresh_ms = fresh_ms
        self._own_fresh_ms: dict[str, int] = {}

    @property
    def actor_options(self) -> set[str]:
        return {"result_fresh"}

    def after_declare_actor(self, broker: Broker, actor: Actor[..., Any]) -> None:
        if fresh_ms := actor.options.get("result_fresh"):
            self._own_fresh_ms[actor.actor_name] = fresh_ms

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        if not self._is_fresh_for_ms(message):
            return
        stored = self._client.get(self._prefix + _fingerprint(message))
        if not isinstance(stored, bytes):
            return
        reused = msgspec.json.decode(stored, type=Reused)
        self._results.reuse(message, reused)
        if self._on_reused:
            self._on_reused(message, reused)
        raise SkipMessage(f"message {reused.message_id} has just done the same")

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        self._results.forget_reuse(message)

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        fresh_ms = self._is_fresh_for_ms(message)
        if result is not None and fresh_ms:
            stored = Reused(result, message.message_id, round(time.time() * 1000))
            self._client.set(
                self._prefix + _fingerprint(message),
                msgspec.json.encode(stored),
                px=fresh_ms,
            )

    def _is_fresh_for_ms(self, message: MessageProxy) -> int:
        name = message.actor_name
        return self._own_fresh_ms[name] if name in self._own_fresh_ms else self._fresh_ms(name)


def _fingerprint(message: MessageProxy) -> str:
    arguments = {name: value for name, value in message.kwargs.items() if name not in REQUEST_FIELDS}
    request = msgspec.json.encode([message.actor_name, message.args, arguments], order="sorted")
    return hashlib.sha256(request).hexdigest()
