"""What the web asks of the brokers, as Protocols that their classes satisfy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from brokers.latency import Grain, Latency
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

    def send_each(self, orders: Sequence[tuple[Request, str | None]]) -> Sequence[Receipt]:
        """Requests, each with its `requested_by`, together.

        Raises InvalidRequest, and then sends none; StoreUnavailable, and then any may be sent.
        """
        ...


class ReadLatency(Protocol):
    def __call__(self, *, grain: Grain, since_s: float, until_s: float) -> Mapping[int, Latency]:
        """By the moments' seconds since 1970. Raises redis.RedisError."""
        ...
