"""A channel that appends each notice to a file."""

from __future__ import annotations

from pathlib import Path

from clubsync_example.settings import logbook
from notifications.notice import Notice
from settings.schema import NotificationsSettings
from sync.errors import TransientError


def open_channel(_settings: NotificationsSettings) -> Logbook | None:
    """None when no file is named: then the channel is installed, but not configured."""
    path = logbook()
    return Logbook(path) if path is not None else None


class Logbook:
    """Routes name it `logbook`."""

    name = "logbook"

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, notice: Notice) -> str:
        """Answers a reference for the record. A TransientError is tried again, a PermanentError is not."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{notice.subject}\n")
        except OSError as error:
            raise TransientError(f"logbook {self._path}: {error.strerror}") from error
        return notice.key

    def reach(self) -> str:
        """For `clubsync config check --connect`; it must tell nobody anything."""
        if not self._path.parent.is_dir():
            raise TransientError(f"logbook {self._path}: its folder does not exist")
        return f"{self._path} can be written"
