"""What a channel is; one module each, found by the entry points `clubsync.channels`."""

from __future__ import annotations

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

        Raises the errors of `sync.errors`: TransientError and DeferredError are sent
        again, PermanentError is not. No error shows a token or an address with one.
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
