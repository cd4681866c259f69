"""Rendering: templates, what every page gets, and how values read."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from stores.sql.records import to_document
from stores.sql.tokens import Role
from sync.changes import Change
from sync.counting import counted
from sync.model import Game, Ladder
from web.access import Caller
from web.problems import Problem

CSRF_COOKIE = "clubsync_csrf"
SAID_COOKIE = "clubsync_said"
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
SPARK_WIDTH, SPARK_HEIGHT = 120, 24
NOTHING = "\N{EN DASH}"

NAVIGATION = (
    ("/", "Overview"),
    ("/queues", "Queues"),
    ("/dead", "Dead letters"),
    ("/accounts", "Accounts"),
    ("/runs", "Runs"),
    ("/batches", "Batches"),
    ("/workers", "Processes"),
    ("/schedules", "Schedules"),
    ("/config", "Settings"),
    ("/audit", "Audit"),
)


def render(
    request: Request, caller: Caller | None, template: str, *, status: int = HTTPStatus.OK, **context: Any
) -> HTMLResponse:
    """A page; sets the cookie that its forms must repeat, and shows what was just done, once."""
    # Not of request.url, which is made of the Host header too, whatever that holds.
    path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    csrf = request.cookies.get(CSRF_COOKIE) or secrets.token_urlsafe(24)
    text = environment.get_template(template).render(
        caller=caller,
        roles=Role,
        csrf=csrf,
        said=unquote(request.cookies.get(SAID_COOKIE, "")),
        navigation=NAVIGATION,
        here=path,
        address=f"{path}?{query}" if query else path,
        query=dict(request.query_params),
        now=datetime.now(UTC),
        **context,
    )
    answer = HTMLResponse(text, status_code=status)
    if CSRF_COOKIE not in request.cookies:
        answer.set_cookie(CSRF_COOKIE, csrf, httponly=True, samesite="strict", secure=is_https(request))
    if SAID_COOKIE in request.cookies:
        answer.delete_cookie(SAID_COOKIE)
    return answer


def render_problem(request: Request, problem: Problem) -> Response:
    """A refusal as a page; somebody who is not signed in is sent to the door."""
    if problem.status == HTTPStatus.UNAUTHORIZED and request.method == "GET":
        return go(f"/login?{urlencode({'next': request.scope['path']})}")
    return render(request, None, "problem.html", status=problem.status, problem=problem)


def go(address: str, *, said: str | None = None) -> RedirectResponse:
    """Go on to an address after an act, and say there what it came to."""
    answer = RedirectResponse(address, status_code=HTTPStatus.SEE_OTHER)
    if said is not None:
        answer.set_cookie(SAID_COOKIE, quote(said[:500]), httponly=True, samesite="strict", max_age=60)
    return answer


def is_https(request: Request) -> bool:
    return bool(request.scope["scheme"] == "https")


def duration(seconds: float | None) -> str:
    """`20 ms`, `4.5 s`, `45 s`, `15 min`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds is None:
        return NOTHING
    seconds = max(seconds, 0.0)
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds >= 0.1 else f"{round(1000 * seconds)} ms"
    whole = round(seconds)
    units = ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min"), (1, "s"))
    largest = next(place for place, (unit_s, _) in enumerate(units) if whole >= unit_s)
    parts = []
    for unit_s, name in units[largest : largest + 2]:
        count, whole = divmod(whole, unit_s)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts)


def moment(at: datetime | None) -> Markup:
    """A time that the reader's browser shows in the reader's zone; without a script, in UTC."""
    if at is None:
        return Markup(NOTHING)  # noqa: S704 a constant
    iso = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}">{} UTC</time>').format(
        iso, at.astimezone(UTC).strftime("%d %b %H:%M:%S")
    )


def number(value: float | None) -> str:
    """With thousands apart; at most one decimal."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def sparkline(values: list[float], label: str) -> Markup:
    """A small picture of the last values, oldest first."""
    top = max([*values, 1])
    step = SPARK_WIDTH / max(len(values) - 1, 1)
    points = " ".join(
        f"{place * step:.1f},{SPARK_HEIGHT - 2 - value / top * (SPARK_HEIGHT - 4):.1f}"
        for place, value in enumerate(values)
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">'
        '<polyline points="{points}"/></svg>'
    ).format(w=SPARK_WIDTH, h=SPARK_HEIGHT, label=label, points=points)


def commands(text: str) -> Markup:
    """A sentence with its `commands` set apart."""
    return Markup().join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(text.split("`"))
    )


def value_text(value: Any) -> Markup:
    """A field's value in a difference; what is not there is said to be so."""
    if value is None:
        return Markup('<span class="none">none</span>')
    if isinstance(value, Mapping | list):
        return Markup("<code>{}</code>").format(_json(value))
    return escape(value)


def record_title(change: Change) -> str:
    """What people call the record: its name, or of a game its round and day."""
    record = change.after or change.before
    if isinstance(record, Game):
        return ", ".join(str(part) for part in (record.round, record.first_day, record.status) if part)
    if isinstance(record, Ladder):
        return record.type or "overall"
    return (record.name if record is not None else None) or ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str, indent=1)


TEMPLATES = Path(__file__).parent / "templates"

environment = Environment(
    # Read once: the templates of a later release do not fit the code that runs.
    loader=DictLoader({page.name: page.read_text("utf-8") for page in TEMPLATES.iterdir()}),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
environment.filters |= {
    "duration": duration,
    "moment": moment,
    "number": number,
    "counted": counted,
    "value_text": value_text,
    "json": _json,
    "commands": commands,
    "record": to_document,
    "record_title": record_title,
}
environment.globals["sparkline"] = sparkline
