"""In-memory ports of the notifications that keep the rules of the real ones."""

from __future__ import annotations

from notifications.notice import Notice
from sync.errors import NotFound, TransientError
from sync.report import Run
from tests.unit.notifications.builders import finished


class Outbox:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []

    def __call__(self, *, event: str, channel: str, run_id: str) -> None:
        self.sent.append((event, channel, run_id))


class KnownRuns:
    def find(self, run_id: str) -> Run:
        if run_id != "r1":
            raise NotFound(f"run {run_id} does not exist")
        return finished()


class Records:
    """Keeps deliveries as the SQL store does: one a run, event and channel."""

    def __init__(self) -> None:
        self.references: dict[tuple[str, str, str], str] = {}

    def find(self, run_id: str, event: str, channel: str) -> str | None:
        return self.references.get((run_id, event, channel))

    def record(self, run_id: str, event: str, channel: str, reference: str) -> None:
        self.references.setdefault((run_id, event, channel), reference)


class Chat:
    name = "slack"

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.is_down = False

    def send(self, notice: Notice) -> str:
        if self.is_down:
            raise TransientError("the chat is down")
        self.notices.append(notice)
        return f"ts{len(self.notices)}"
