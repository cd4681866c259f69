"""What the web asks of the brokers, as Protocols that their classes satisfy."""

from __future__ import annotations

from typing import Protocol

from brokers.messages import Request


class Receipt(Protocol):
    @property
    def message_id(self) -> str: ...

    @property
    def run_id(self) -> str | None: ...

    @property
    def is_coalesced(self) -> bool: ...


class Publisher(Protocol):
    def send(self, request: Request, *, requested_by: str | None = None) -> Receipt:
        """`requested_by` is "source:person", for the audit. Raises InvalidRequest and StoreUnavailable."""
        ...
