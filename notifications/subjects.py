"""What a problem is about: everything with the same key is one incident."""

from __future__ import annotations

from sync.causes import Cause, Party


def subject_key(cause: Cause, provider: str | None) -> str | None:
    """The incident that a failure belongs to; None for what is nobody's fault."""
    party = cause.party
    if party is None:
        return None
    return f"provider:{provider or 'unknown'}" if party is Party.PROVIDER else party.value


def queue_key(queue: str) -> str:
    return f"queue:{queue}"


def channel_key(channel: str) -> str:
    return f"channel:{channel}"
