"""Where actors' results are kept for a time: dramatiq's Redis backend, and whose result it is."""

from __future__ import annotations

from typing import Any

import msgspec
import redis
from dramatiq.broker import MessageProxy
from dramatiq.message import Message
from dramatiq.results.backends.redis import RedisBackend


class Reused(msgspec.Struct, frozen=True, tag="clubsync.reused", tag_field="__t"):
    """A result that answered a second, equal message as well."""

    result: Any
    message_id: str
    stored_at_ms: int


class ResultStore(RedisBackend):
    """Stores one result a message; a reused one is stored with its origin."""

    def __init__(self, client: redis.Redis, *, namespace: str) -> None:
        super().__init__(  # type: ignore[no-untyped-call] # inherits a bare signature
            client=client, namespace=f"{{{namespace}}}:results", use_namespace_prefix_keys=True
        )
        self._reused: dict[str, Reused] = {}

    def reuse(self, message: MessageProxy, reused: Reused) -> None:
        """From now on `reused` is the result of this message, whatever is stored for it."""
        self._reused[message.message_id] = reused

    def forget_reuse(self, message: MessageProxy) -> None:
        self._reused.pop(message.message_id, None)

    def find_reused(self, message: Message[Any] | MessageProxy) -> Reused | None:
        """Whose result this message was given; None when its own actor ran or nothing is stored."""
        stored = self.client.lindex(self.build_message_key(message), 0)
        return _as_reused(self.encoder.decode(stored)) if isinstance(stored, bytes) else None

    def store_result(self, message: Any, result: Any, ttl: int) -> None:
        reused = self._reused.get(message.message_id)
        super().store_result(message, msgspec.to_builtins(reused) if reused else result, ttl)

    def unwrap_result(self, res: Any) -> Any:
        reused = _as_reused(res)
        return reused.result if reused else super().unwrap_result(res)  # type: ignore[no-untyped-call]


def _as_reused(stored: Any) -> Reused | None:
    try:
        return msgspec.convert(stored, Reused)
    except msgspec.ValidationError:
        return None
