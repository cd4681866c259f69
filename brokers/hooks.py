"""Calls the hooks of a broker's middleware, and only those that do anything.

As dramatiq does it: a MiddlewareError of a "before" hook reaches the caller, whatever else a
hook raises is logged; "after" hooks run from the last to the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dramatiq import Middleware
from dramatiq.logging import get_logger
from dramatiq.middleware import MiddlewareError, ShutdownNotifications, TimeLimit

if TYPE_CHECKING:
    from dramatiq import Broker

Hook = Callable[..., None]


class Hooks:
    """The hooks of one broker; its list of middleware may change at any time."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._logger = get_logger(__name__, type(self))
        self._known: list[Middleware] = []
        self._by_name: dict[str, list[Hook]] = {}

    def call_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        for hook in self._hooks_on("before_" + signal):
            try:
                hook(self._broker, *args, **kwargs)
            except MiddlewareError:
                raise
            except Exception:
                self._logger.critical("Unexpected failure in %r.", hook, exc_info=True)

    def call_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        for hook in self._hooks_on("after_" + signal):
            try:
                hook(self._broker, *args, **kwargs)
            except Exception:
                self._logger.critical("Unexpected failure in %r.", hook, exc_info=True)

    def _hooks_on(self, name: str) -> list[Hook]:
        """In the order to call them."""
        if self._known != self._broker.middleware:
            self._known = self._broker.middleware.copy()
            self._by_name = {}
        hooks = self._by_name.get(name)
        if hooks is None:
            hooks = self._by_name[name] = self._find(name)
        return hooks

    def _find(self, name: str) -> list[Hook]:
        empty = getattr(Middleware, name, None)
        hooked = [one for one in self._known if _function(getattr(one, name, empty)) is not empty]
        if name.startswith("after_"):
            hooked.reverse()
            # An interrupt must not strike while a retry is being sent: the clock stops first.
            hooked.sort(key=lambda one: not isinstance(one, (TimeLimit, ShutdownNotifications)))
        return [getattr(one, name) for one in hooked]


def _function(hook: Any) -> Any:
    """What a bound method calls; a hook may be a static method or set on the object, too."""
    return getattr(hook, "__func__", hook)
