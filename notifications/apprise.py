"""Any service that Apprise knows: Discord, Teams, Matrix, ntfy and a hundred others.

Apprise (https://github.com/caronc/apprise) is an extra: `pip install clubsync[apprise]`. It
says only whether all services took a message, and has no ids: what was told to some of
several addresses is told to all of them again.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from notifications.channels import Channel
from notifications.notice import Notice
from settings.schema import NotificationsSettings
from sync.errors import ConfigurationError, TransientError
from sync.incident import Severity

TYPES = {Severity.INFO: "success", Severity.WARNING: "warning", Severity.ERROR: "failure"}


def open_channel(settings: NotificationsSettings) -> Channel | None:
    """None without addresses. Raises ConfigurationError without the extra, or for an unreadable address."""
    urls = [url.get_secret_value() for url in settings.apprise.urls]
    if not urls:
        return None
    if find_spec("apprise") is None:
        raise ConfigurationError(
            "notifications.apprise.urls needs the extra: pip install 'clubsync[apprise]'"
        )
    import apprise  # noqa: PLC0415  an extra, and slow to import

    services = apprise.Apprise()
    for number, url in enumerate(urls, start=1):
        if not services.add(url):
            raise ConfigurationError(f"notifications.apprise.urls: Apprise cannot read address {number}")
    return Apprise(services)


class Apprise:
    name = "apprise"

    def __init__(self, services: Any) -> None:
        self._services = services

    def send(self, notice: Notice) -> str:
        """Answers the notice's key."""
        took = self._services.notify(
            title=notice.subject, body=notice.text, notify_type=TYPES[notice.severity]
        )
        if not took:
            raise TransientError(f"Apprise: not all of {len(self._services)} services took the notice")
        return notice.key
