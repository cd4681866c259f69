"""Binds the run and the account of a message to everything logged while it runs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from dramatiq.broker import Broker, MessageProxy
from dramatiq.middleware import Middleware

from settings.logs import bound

BOUND_FIELDS = ("run_id", "account_id", "organisation_id")


class RunContext(Middleware):
    """Stands first in the chain, so that the other middleware logs within it."""

    def __init__(self) -> None:
        self._open: dict[int, AbstractContextManager[None]] = {}

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        kwargs = message.kwargs
        fields = {name: kwargs[name] for name in BOUND_FIELDS if kwargs.get(name) is not None}
        if fields:
            context = self._open[id(message)] = bound(actor=message.actor_name, **fields)
            context.__enter__()

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        if context := self._open.pop(id(message), None):
            context.__exit__(None, None, None)

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)
