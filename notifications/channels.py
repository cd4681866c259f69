"""What a channel is; one module each, found by the entry points `clubsync.channels`.

A channel only has to `send`. What more it can do makes it a better one: a `Threaded` one
tells an incident in one thread, a `Searchable` one can be asked whether a message arrived
whose sender died.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, runtime_checkable

from notifications.notice import Notice


class Channel(Protocol):
    """Tells people or programs one notice at a time."""

    @property
    def name(self) -> str:
        """The name that routes use."""
        ...

    def send(self, notice: Notice) -> str:
        """Deliver the notice; answers the other side's reference, for the record.

        Raises the errors of `sync.errors`: a TransientError leaves it open whether it
        arrived, after a DeferredError it did not; both are tried again, a PermanentError is
        not. An AddressGone switches the channel off. No error shows a token or an address with one.
        """
        ...


@runtime_checkable
class Reachable(Protocol):
    """A channel that can be tried without telling anybody."""

    def reach(self) -> str:
        """Connect as for a notice, but send none; answers in a few words what answered.

        Raises what `send` raises.
        """
        ...


@runtime_checkable
class Threaded(Protocol):
    """A channel whose messages can be changed and answered. Raises as `Channel.send`.

    NotFound means that the message was deleted or can no longer be changed.
    """

    def update(self, reference: str, notice: Notice) -> None:
        """Let the message say what the notice says now."""
        ...

    def reply(self, reference: str, notice: Notice) -> str:
        """Tell the notice's change in the thread of the message."""
        ...


@runtime_checkable
class Searchable(Protocol):
    """A channel that can be asked what arrived. Raises as `Channel.send`."""

    def find(self, notice: Notice, *, since: datetime, thread: str | None) -> str | None:
        """The reference of the message that told the notice, in a thread or outside of all."""
        ...


@runtime_checkable
class Unrepeatable(Protocol):
    """A channel where telling twice is worse than not at all.

    Its TransientError means that nothing arrived.
    """

    @property
    def must_not_repeat(self) -> bool: ...
