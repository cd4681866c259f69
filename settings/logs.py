"""Logs: events with fields, as text for people or JSON for programs, and never a secret.

    log = logging.getLogger(__name__)
    log.info("run_finished", extra={"outcome": "succeeded", "duration_s": 3.2})

The message is the event's constant name; `extra` holds its fields. What is bound with
`bound` (run_id, account_id) is added to every event of the same greenlet or thread.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TextIO

from pydantic import BaseModel, SecretStr

from settings.problems import MASK, redact_userinfo
from settings.schema import LoggingSettings, Settings

_bound: ContextVar[Mapping[str, Any]] = ContextVar("bound", default=MappingProxyType({}))

# What a LogRecord has of its own; everything else came in through `extra`.
OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Shorter secrets would blank out ordinary words.
MIN_SECRET_CHARS = 6
# They log each request's URL, a key within it, or each job, at info; APScheduler also warns
# whenever a sweep takes longer than its interval, which is in order.
QUIETED = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "apscheduler": logging.ERROR,
    "dramatiq": logging.WARNING,
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
}


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Add the fields to every event logged within."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def set_up(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Log to `stream` (standard error) as the settings say; repeatable, also after a reload."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_formatter(settings.logging, tuple(secrets_of(settings))))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.logging.level.upper())
    for name, level in QUIETED.items():
        logging.getLogger(name).setLevel(max(level, root.level))


def secrets_of(value: Any) -> Iterator[str]:
    """Every secret in a settings model, so that it can be kept out of the logs."""
    if isinstance(value, SecretStr):
        if len(value.get_secret_value()) >= MIN_SECRET_CHARS:
            yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_of(getattr(value, name))
    elif isinstance(value, Mapping):
        yield from secrets_of(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secrets_of(item)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the secrets and without the user and password of any URL in it."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return redact_userinfo(text)


class TextFormatter(logging.Formatter):
    """`12:00:01 INFO run_finished outcome=succeeded`, a trace below it if there is one."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        line = f"{at} {record.levelname:<7} {record.getMessage()} {fields}".rstrip()
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return redacted(line, self._secrets)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at, level, event, logger, then the fields."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            **_fields(record),
        }
        if record.exc_info:
            event["trace"] = self.formatException(record.exc_info)
        return redacted(json.dumps(event, default=str, ensure_ascii=False), self._secrets)


def _formatter(settings: LoggingSettings, secrets: tuple[str, ...]) -> logging.Formatter:
    return JsonFormatter(secrets) if settings.format == "json" else TextFormatter(secrets)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    own = {name: value for name, value in vars(record).items() if name not in OWN_FIELDS}
    return {**_bound.get(), **own}
