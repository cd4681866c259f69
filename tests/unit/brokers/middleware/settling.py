"""Takes one message through the hooks that dramatiq's worker calls, without threads."""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware


class RecordingBroker(StubBroker):
    """A stub broker that keeps what was enqueued, and can be down."""

    def __init__(self, middleware: list[Middleware]) -> None:
        super().__init__(middleware)
        self.sent: list[tuple[dramatiq.Message[Any], int | None]] = []
        self.is_down = False

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        if self.is_down:
            raise ConnectionError("the server is gone")
        self.sent.append((message, delay))
        return message


def declare(broker: StubBroker, **options: Any) -> dramatiq.Actor[..., Any]:
    @dramatiq.actor(broker=broker, actor_name="work", **options)
    def work(**fields: Any) -> None:
        """Never called: the tests say what it raised."""

    return work


def proxy(actor: dramatiq.Actor[..., Any], **options: Any) -> MessageProxy:
    return MessageProxy(actor.message_with_options(kwargs={}, **options))


def fail_with(broker: StubBroker, message: MessageProxy, error: BaseException) -> None:
    """Start the message, let its actor raise `error`, and decide what happens to it."""
    broker.emit_before("process_message", message)
    broker.emit_after("process_message", message, exception=error)


def settle(broker: StubBroker, message: MessageProxy) -> str:
    """Acknowledge or reject the message; answers which."""
    verdict = "nack" if message.failed else "ack"
    broker.emit_before(verdict, message)
    broker.emit_after(verdict, message)
    return verdict
