"""Calls the hooks of a broker's middleware, and only those that do anything.

As dramatiq does it: a MiddlewareError of a "before" hook reaches the caller, whatever else a
hook raises is logged; "after" hooks run from the last to the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dramatiq import Middleware
from dramatiq.logging import get_logger
from dramatiq.middleware import MiddlewareError, ShutdownNotifications, TimeLimit

if TYPE_CHECKING:
    from dramatiq import Broker


class Hooks:
    """The hooks of one broker; its list of middleware may change at any time."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._logger = get_logger(__name__, type(self))
        self._known: list[Middleware] = []
        self._by_name: dict[str, list[Middleware]] = {}

    def call_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        name = "before_" + signal
        for middleware in self._hooked_to(name):
            try:
                getattr(middleware, name)(self._broker, *args, **kwargs)
            except MiddlewareError:
                raise
            except Exception:
                self._logger.critical("Unexpected failure in %s of %r.", name, middleware, exc_info=True)

    def call_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        name = "after_" + signal
        for middleware in self._hooked_to(name):
            try:
                getattr(middleware, name)(self._broker, *args, **kwargs)
            except Exception:
                self._logger.critical("Unexpected failure in %s of %r.", name, middleware, exc_info=True)

    def _hooked_to(self, name: str) -> list[Middleware]:
        """The middleware that does anything on a signal, in the order to call it."""
        if self._known != self._broker.middleware:
            self._known = self._broker.middleware.copy()
            self._by_name = {}
        hooked = self._by_name.get(name)
        if hooked is None:
            hooked = self._by_name[name] = self._find(name)
        return hooked

    def _find(self, name: str) -> list[Middleware]:
        empty = getattr(Middleware, name, None)
        hooked = [one for one in self._known if _function(getattr(one, name, empty)) is not empty]
        if name.startswith("after_"):
            hooked.reverse()
            # An interrupt must not strike while a retry is being sent: the clock stops first.
            hooked.sort(key=lambda one: not isinstance(one, (TimeLimit, ShutdownNotifications)))
        return hooked


def _function(hook: Any) -> Any:
    """What a bound method calls; a hook may be a static method or set on the object, too."""
    return getattr(hook, "__func__", hook)
