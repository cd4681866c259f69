"""What each fault does to an answer."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from simulator.answers import encode, error_answer, html_answer
from simulator.faults import Fault, Rule
from simulator.server import Answer, Delivery, Request
from simulator.world.dice import dice

_CLOUDFRONT = (
    "<!DOCTYPE HTML><HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD>"
    "<BODY><H1>403 ERROR</H1>Request blocked. We can't connect to the server for this app or website at "
    "this time. There might be too much traffic or a configuration error.</BODY></HTML>"
)
_LOGIN = "<!doctype html><title>Sign in</title><form><input name=user><input type=password></form>"
_DEFAULT_STATUS = {Fault.REJECT: 403, Fault.ERROR: 503}

Serve = Callable[[], Answer]


def befall(rule: Rule, request: Request, serve: Serve) -> Answer:
    """The answer as the fault leaves it; `serve` gives the good one and is called only where needed."""
    fault = Fault(rule.kind)
    status = rule.status or _DEFAULT_STATUS.get(fault, 200)
    match fault:
        case Fault.THROTTLE:
            answer = throttled(rule.retry_after, rule.retry_after_s)
        case Fault.BLOCK:
            answer = html_answer(403, _CLOUDFRONT)
        case Fault.REJECT:
            answer = error_answer(status, "Unauthorized" if status == 401 else "Forbidden")
        case Fault.MISSING:
            answer = error_answer(404, "Not Found")
        case Fault.ERROR:
            answer = html_answer(status, f"<html><h1>{status}</h1></html>")
        case Fault.RESET:
            answer = Answer(200, delivery=Delivery.RESET)
        case Fault.HTML:
            answer = html_answer(200, _LOGIN)
        case _:
            answer = _altered(fault, rule, request, serve())
    return replace(answer, fault=answer.fault or fault.value)


def delay_s(rule: Rule) -> float:
    """The seconds that a latency rule adds, the same for the same rule and turn."""
    spread = dice(rule.seed, rule.happened).uniform(-1, 1)
    return max(0.0, rule.latency_s + rule.jitter_s * spread)


def throttled(form: str, retry_after_s: float) -> Answer:
    """429 with Retry-After in seconds, as a date, or without it."""
    headers: tuple[tuple[str, str], ...] = ()
    if form == "seconds":
        headers = (("Retry-After", f"{retry_after_s:g}"),)
    elif form == "date":
        at = datetime.now(UTC) + timedelta(seconds=retry_after_s)
        headers = (("Retry-After", format_datetime(at, usegmt=True)),)
    return replace(error_answer(429, "Too Many Requests"), headers=headers)


def _altered(fault: Fault, rule: Rule, request: Request, good: Answer) -> Answer:
    match fault:
        case Fault.CUT:
            altered = replace(good, delivery=Delivery.CUT)
        case Fault.SLOW:
            altered = replace(good, delivery=Delivery.DRIP, drip_s=rule.latency_s)
        case Fault.DROPPED:
            altered = replace(good, delivery=Delivery.RESET)
        case Fault.LATENCY:
            altered = replace(good, delay_s=good.delay_s + delay_s(rule))
        case Fault.BAD_JSON:
            altered = replace(good, body=good.body[: len(good.body) // 2] + b',"', headers=())
        case Fault.EMPTY:
            altered = replace(good, body=_emptied(good.body), headers=())
        case Fault.REPEAT_CURSOR:
            altered = _paged_on(good, "MTAw")
        case Fault.ENDLESS_CURSOR:
            start = int(b64decode(request.query.get("cursor", "")) or 0)
            altered = _paged_on(good, b64encode(str(start + 100).encode()).decode())
        case _:
            raise AssertionError(f"{fault} alters no answer")
    return altered


def _emptied(body: bytes) -> bytes:
    """The same envelope with empty lists."""
    shape = json.loads(body or b"{}")
    for key, value in shape.items():
        if isinstance(value, list):
            shape[key] = []
    if "metadata" in shape:
        shape["metadata"] = {"hasMore": False, "nextCursor": None}
    return encode(shape)


def _paged_on(good: Answer, cursor: str) -> Answer:
    """The listing again, claiming that more follows; answers without pages stay as they are."""
    shape = json.loads(good.body or b"{}")
    if "metadata" not in shape:
        return good
    shape["metadata"] = {"hasMore": True, "nextCursor": cursor}
    return replace(good, body=encode(shape), headers=())
