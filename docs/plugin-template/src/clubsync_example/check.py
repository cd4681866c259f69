"""A health check: is the logbook where it should be?"""

from __future__ import annotations

from collections.abc import Callable

from clubsync_example.settings import logbook
from settings.schema import Settings
from web.health import Finding, Status


def open_check(_settings: Settings) -> Callable[[], Finding]:
    """Called once as the web process starts; what it answers is asked at most once a second."""
    return look


def look() -> Finding:
    path = logbook()
    if path is None or path.parent.is_dir():
        return Finding(value=str(path), unit="file")
    return Finding(status=Status.WARN, hint=f"The folder of {path} does not exist; make it.")
