from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from notifications.parcels import MOST_LINES, next_parcel
from sync.incident import Severity
from tests.unit.notifications.builders import AT


@dataclass(frozen=True)
class Waiting:
    id: int
    event: str = "sync_failed"
    severity: Severity = Severity.ERROR
    incident_id: str | None = None
    not_before: datetime | None = None
    tried_at: datetime | None = None
    is_unsure: bool = False
    run_id: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"k{self.id}"

    @property
    def subject(self) -> str:
        return f"Sync of club {self.id} failed"

    @property
    def text(self) -> str:
        return f"{self.subject}\nbecause"

    @property
    def created_at(self) -> datetime:
        return AT + timedelta(minutes=self.id)


def test_few_are_told_one_by_one_in_order() -> None:
    parcel = next_parcel([Waiting(1), Waiting(2)], summary_from=3)
    assert (parcel.ids, parcel.notice.key, parcel.notice.text) == (
        [1],
        "k1",
        "Sync of club 1 failed\nbecause",
    )


def test_many_that_piled_up_are_one_summary_in_order() -> None:
    due = [Waiting(number) for number in range(1, 41)]
    due[3] = Waiting(4, event="sync_succeeded", severity=Severity.INFO)
    parcel = next_parcel(due, summary_from=6)
    assert parcel.ids == list(range(1, 41))
    notice = parcel.notice
    assert notice.subject == "40 notices from 03:01 to 03:40 UTC: 39 sync failed, 1 sync succeeded"
    lines = notice.text.splitlines()
    assert lines[1:3] == ["• Sync of club 1 failed", "• Sync of club 2 failed"]
    assert len(lines) == MOST_LINES + 2
    assert lines[-1] == "… and 10 more: clubsync notices list"
    assert (notice.event, notice.severity, notice.key) == ("summary", Severity.ERROR, "k1+39")


def test_what_quiet_hours_held_is_one_summary_however_few() -> None:
    due = [Waiting(1, not_before=AT), Waiting(2, not_before=AT), Waiting(3)]
    assert next_parcel(due, summary_from=6).ids == [1, 2]
    assert next_parcel(due[1:], summary_from=6).notice.key == "k2"


def test_an_incident_is_told_by_its_last_word_with_all_changes() -> None:
    due = [
        Waiting(1, event="alert", incident_id="i", fields={"change": "It began."}),
        Waiting(2),
        Waiting(3, event="alert", incident_id="i", fields={}),
        Waiting(4, event="alert", incident_id="i", severity=Severity.INFO, fields={"change": "It is over."}),
    ]
    parcel = next_parcel(due, summary_from=2)
    assert parcel.ids == [1, 3, 4]
    assert (parcel.notice.key, parcel.notice.severity) == ("k4", Severity.INFO)
    assert parcel.notice.change == "It began.\nIt is over."
    counts_only = next_parcel([due[2]], summary_from=2)
    assert counts_only.notice.change is None


def test_what_was_begun_is_told_again_alone_and_under_the_same_key() -> None:
    begun = [Waiting(number, tried_at=AT, is_unsure=True) for number in range(1, 8)]
    first = next_parcel(begun, summary_from=6)
    again = next_parcel([*begun, Waiting(8), Waiting(9)], summary_from=6)
    assert first.is_unsure
    assert again.ids == first.ids
    assert again.notice.key == first.notice.key == "k1+6"
