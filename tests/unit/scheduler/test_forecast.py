from __future__ import annotations

import pytest

from scheduler.forecast import QuotaForecast
from scheduler.outlook import Outlook
from scheduler.schedule import Entry, Tick
from settings.scheduling import AccountFilter, ScheduleEntry
from stores.redis.batches import Batch
from sync.model import Account, Organisation, OrganisationKind
from tests.unit.scheduler.fakes import FakeClock


def account(number: int) -> Account:
    organisation = Organisation(id=f"o{number}", kind=OrganisationKind.CLUB, provider="playhq")
    return Account(id=number, name=f"account {number}", organisation=organisation)


def planned(entry: Entry, tick: Tick) -> Batch:
    return Batch(id=tick.id, starts_at=tick.due_at, requested_by="me", spread_s=entry.settings.spread_s)


def forecast(requests_each: int, **settings: object) -> QuotaForecast:
    entry = ScheduleEntry.model_validate({"cron": "0 1 * * *", "spread_s": 7200.0, **settings})
    accounts = [account(number) for number in range(1, 501)]
    return QuotaForecast(
        lambda: [Entry("nightly", entry)],
        planned,
        lambda: accounts,
        lambda: Outlook(requests=dict.fromkeys(range(1, 501), requests_each)),
        FakeClock(),
    )


def lead() -> None:
    """This scheduler leads."""


def test_a_night_that_fits_is_told_with_its_share_of_the_window() -> None:
    found = forecast(60)(lead)
    assert not found.is_alarm
    assert found.message == "nightly: 30000 requests to playhq need 1.7 h of 2.0 h: fits"


def test_a_night_that_does_not_fit_is_an_alarm_that_says_when_it_ends() -> None:
    found = forecast(100)(lead)
    assert found.is_alarm
    # Due at 01:00 in Sydney, which is 14:00 UTC.
    assert found.message == (
        "nightly: 50000 requests to playhq need 2.8 h of 2.0 h: does not fit and ends about Mon 16:46 UTC"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"filter": AccountFilter(is_near_match=True)},
        {"action": "check_health"},
        {"cron": "0 1 1 1 *"},
    ],
)
def test_what_keeps_within_its_share_or_comes_later_is_no_part_of_the_night(
    settings: dict[str, object],
) -> None:
    assert forecast(100, **settings)(lead).message == "no batch within a day"
