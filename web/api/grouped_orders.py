"""Takes the orders of many callers together: one look at the accounts, one call of Redis, one transaction.

An order is answered only when its message is in Redis and its run and its audit line are in SQL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from stores.redis.idempotency import KeyBusy, KeyReused
from sync.errors import InvalidRequest, NotFound, SyncError
from sync.model import OrganisationKind
from web.api.once import key_problem
from web.api.orders import SyncOrder, kind_mistake, request_for
from web.grouped import Grouped
from web.ports import Receipt
from web.problems import Mistake, mistakes
from web.services import Services


class SyncAccepted(BaseModel):
    """Where to look for what was ordered."""

    id: str = Field(
        description="The run's id, as the run itself calls it.", examples=["5f0c2f8e6f6d4f0f9d1f6f3f1f0a9b21"]
    )
    run_id: str = Field(
        description="The same, where an answer holds ids of other things too.",
        examples=["5f0c2f8e6f6d4f0f9d1f6f3f1f0a9b21"],
    )
    message_id: str = Field(examples=["0b7d9a7e-5f38-4d0c-9a53-7d1b2c3d4e5f"])
    is_coalesced: bool = Field(description="A sync of this account waited or ran already; this is its run.")
    run_url: str = Field(examples=["/api/v1/syncs/5f0c2f8e6f6d4f0f9d1f6f3f1f0a9b21"])
    events_url: str = Field(examples=["/api/v1/syncs/5f0c2f8e6f6d4f0f9d1f6f3f1f0a9b21/events"])


@dataclass(frozen=True, slots=True)
class Asked:
    """An order, who gave it, and the key under which the same caller may repeat it."""

    order: SyncOrder
    caller: str
    idempotency_key: str | None

    @property
    def key(self) -> str:
        return f"{self.caller}:{self.idempotency_key}"

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.order.model_dump_json().encode()).hexdigest()


Answer = SyncAccepted | Exception


class OrderHandler:
    """Over the services of the web process; its work is done in one thread."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def take(self, asked: Sequence[Asked]) -> list[Answer]:
        """What becomes of each order, in order. Raises StoreUnavailable, and then of all of them."""
        answers: list[Answer | None] = [None] * len(asked)
        keyed = [place for place, one in enumerate(asked) if one.idempotency_key is not None]
        claimed = self._claim(asked, keyed, answers)
        try:
            self._send(asked, answers)
        except BaseException:
            self._release([asked[place] for place in claimed])
            raise
        self._settle_keys(asked, claimed, answers)
        return [answer for answer in answers if answer is not None]

    def _claim(
        self, asked: Sequence[Asked], keyed: Sequence[int], answers: list[Answer | None]
    ) -> Sequence[int]:
        """The places whose keys are now ours; the others have their answers."""
        if not keyed:
            return ()
        found = self._services.answers.claim(
            [(asked[place].key, asked[place].fingerprint) for place in keyed]
        )
        for place, claim in zip(keyed, found, strict=True):
            if claim is not None:
                answers[place] = _kept(claim)
        return [place for place in keyed if answers[place] is None]

    def _send(self, asked: Sequence[Asked], answers: list[Answer | None]) -> None:
        open_orders = [one.order.id for one, answer in zip(asked, answers, strict=True) if answer is None]
        wanted = {account_id for account_id in open_orders if isinstance(account_id, int)}
        kinds = self._services.find_kinds(wanted) if wanted else {}
        for place, one in enumerate(asked):
            if answers[place] is None:
                answers[place] = _refusal(one.order, kinds)
        places = [place for place, answer in enumerate(answers) if answer is None]
        for place, receipt in zip(places, self._publish([asked[place] for place in places]), strict=True):
            answers[place] = receipt if isinstance(receipt, Exception) else _accepted(receipt)

    def _publish(self, asked: Sequence[Asked]) -> Sequence[Receipt | InvalidRequest]:
        orders = [(request_for(one.order), f"api:{one.caller}") for one in asked]
        if not orders:
            return ()
        try:
            with self._services.noted_together():
                return self._services.publisher.send_each(orders)
        except InvalidRequest as error:
            if len(asked) == 1:
                return [error]
            # None was sent: one that the publisher refuses must not take the others with it.
            return [self._publish([one])[0] for one in asked]

    def _settle_keys(
        self, asked: Sequence[Asked], claimed: Sequence[int], answers: Sequence[Answer | None]
    ) -> None:
        accepted = [
            (asked[place].key, asked[place].fingerprint, answer.model_dump())
            for place in claimed
            if isinstance(answer := answers[place], SyncAccepted)
        ]
        if accepted:
            self._services.answers.keep(accepted)
        self._release([asked[place] for place in claimed if isinstance(answers[place], Exception)])

    def _release(self, refused: Sequence[Asked]) -> None:
        if refused:
            self._services.answers.release([one.key for one in refused])


class GroupedOrders:
    """Two groups, so that a CMS that hangs holds up no order that needs no account."""

    def __init__(self, services: Services) -> None:
        handler = OrderHandler(services)
        self._of_accounts = Grouped("orders", handler.take)
        self._direct = Grouped("direct-orders", handler.take)

    async def order(self, asked: Asked) -> SyncAccepted:
        """Raises the refusals of the order, and StoreUnavailable."""
        group = self._of_accounts if _has_account(asked) else self._direct
        return await group.submit(asked)

    def close(self) -> None:
        self._of_accounts.close()
        self._direct.close()


def _has_account(asked: Asked) -> bool:
    return isinstance(asked.order.id, int)


def _refusal(order: SyncOrder, kinds: Mapping[int, OrganisationKind | SyncError]) -> Exception | None:
    """Why an order of an account cannot be carried out; None when it can."""
    if not isinstance(order.id, int):
        return None
    kind = kinds.get(order.id)
    if kind is None:
        return NotFound(f"account {order.id} does not exist")
    if isinstance(kind, SyncError):
        return kind
    mistake = kind_mistake(order.id, kind, order.mode)
    return mistakes([Mistake(pointer="/id", detail=mistake)]) if mistake else None


def _kept(claim: Mapping[str, Any] | KeyBusy | KeyReused) -> Answer:
    if isinstance(claim, Exception):
        return key_problem(claim)
    return SyncAccepted.model_validate(claim)


def _accepted(receipt: Receipt) -> SyncAccepted:
    assert receipt.run_id is not None  # noqa: S101 every sync message has a run
    run_url = f"/api/v1/syncs/{receipt.run_id}"
    return SyncAccepted(
        id=receipt.run_id,
        run_id=receipt.run_id,
        message_id=receipt.message_id,
        is_coalesced=receipt.is_coalesced,
        run_url=run_url,
        events_url=f"{run_url}/events",
    )
