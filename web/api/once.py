"""An act that its caller may ask for twice under one Idempotency-Key: it is done once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import Header
from pydantic import BaseModel

from stores.redis.idempotency import KeyBusy, KeyReused
from web.access import Caller
from web.problems import Mistake, Problem, mistakes
from web.services import Services

B = TypeVar("B", bound=BaseModel)

LONGEST_KEY = 255
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=LONGEST_KEY,
        description="The same key within a day gets the same answer, and nothing is done a second time.",
    ),
]


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, under which key of their own, if any."""

    caller: Caller
    own_key: str | None


def once(services: Services, asking: Asking, what: str, shape: type[B], do: Callable[[], B]) -> B:
    """Do it, or answer what was answered before; `what` tells one act from another.

    Raises Problem 409 while the first one is being done, 422 for a key of another act.
    """
    if asking.own_key is None:
        return do()
    key, fingerprint = f"{asking.caller.name}:{asking.own_key}", hashlib.sha256(what.encode()).hexdigest()
    (claim,) = services.answers.claim([(key, fingerprint)])
    if isinstance(claim, Exception):
        raise key_problem(claim)
    if claim is not None:
        return shape.model_validate(claim)
    try:
        answer = do()
    except BaseException:
        services.answers.release([key])
        raise
    services.answers.keep([(key, fingerprint, answer.model_dump(mode="json"))])
    return answer


def key_problem(claim: KeyBusy | KeyReused) -> Problem:
    """What to answer to a key that cannot be claimed."""
    if isinstance(claim, KeyReused):
        reason = "it was used for a different request within a day"
        return mistakes([Mistake(parameter="Idempotency-Key", detail=reason)])
    return Problem(
        HTTPStatus.CONFLICT,
        "A request with this Idempotency-Key is being answered; ask again in a moment.",
        headers={"Retry-After": "1"},
    )
