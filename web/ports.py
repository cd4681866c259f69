"""What the web asks of the layers below it, as Protocols that their classes satisfy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from brokers.messages import Request
from stores.sql.tokens import Token
from sync.model import Account
from sync.ports import Progressed
from sync.report import Run, Stage


class Accounts(Protocol):
    def find(self, account_id: int) -> Account:
        """Raises NotFound."""
        ...


class Runs(Protocol):
    def find(self, run_id: str) -> Run:
        """Raises NotFound."""
        ...


class Progress(Protocol):
    def read(self, run_id: str) -> Mapping[Stage, Progressed]:
        """How far each stage is that has begun. Raises StoreUnavailable."""
        ...


class Receipt(Protocol):
    @property
    def message_id(self) -> str: ...

    @property
    def run_id(self) -> str | None: ...

    @property
    def is_coalesced(self) -> bool: ...


class Publisher(Protocol):
    def send(self, request: Request, *, requested_by: str | None = None) -> Receipt:
        """`requested_by` is for the audit. Raises InvalidRequest and StoreUnavailable."""
        ...


class Tokens(Protocol):
    def is_empty(self) -> bool:
        """True while no valid token exists."""
        ...

    def find(self, secret: str) -> Token | None: ...


class Answers(Protocol):
    """Answers kept for the same `Idempotency-Key`."""

    def claim(self, key: str, fingerprint: str) -> Mapping[str, Any] | None:
        """None when the key is now ours to answer, else the answer that was kept.

        Raises KeyBusy while another request with the key is being answered, and KeyReused
        when it was for something else.
        """
        ...

    def keep(self, key: str, fingerprint: str, answer: Mapping[str, Any]) -> None: ...

    def release(self, key: str) -> None:
        """Give the key back after a request that was refused."""
        ...
