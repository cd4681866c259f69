"""The settings of the scheduler: what is sent when, to which accounts, and how fresh these should be."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    Field,
)

from settings.section import (
    AccountTypes,
    ClockTimes,
    Cron,
    DayNames,
    DayNamesOrLists,
    EntryName,
    LocalMoments,
    Names,
    Section,
    Zone,
)


class AccountFilter(Section):
    """Which accounts a batch takes; an empty field takes all."""

    types: AccountTypes = ()
    tags: Names = ()
    plans: Names = ()
    provider: str | None = None
    older_than_s: float | None = Field(default=None, gt=0)
    is_due: bool = False
    is_near_match: bool = False


class Calendar(Section):
    """Moments of the wall clock: each of `times` on each of `days`, and those of `at`, once each."""

    days: DayNames = ()
    times: ClockTimes = ()
    at: LocalMoments = ()

    @property
    def is_empty(self) -> bool:
        return not (self.days or self.times or self.at)


class ScheduleEntry(Section):
    """When a batch or a message is sent; exactly one of `cron`, `every_s` and `calendar`.

    Days of `except_days` have no ticks. A time that the clocks skip in spring comes once,
    that much later; one that comes twice in autumn is one tick, the first (an entry of
    every hour has every real hour).

    A tick that is later than `catch_up_s` (nobody led, the machine slept) is not sent; of
    several late ones only the last is sent while `coalesce` is on. `jitter_s` moves each
    tick by the same amount on every scheduler, so that two never disagree about it.
    """

    cron: Cron | None = None
    every_s: float | None = Field(default=None, ge=1, le=31_622_400)
    calendar: Calendar = Calendar()
    except_days: DayNamesOrLists = ()
    zone: Zone = "Australia/Sydney"
    jitter_s: float = Field(default=0.0, ge=0)
    catch_up_s: float = Field(default=3600.0, ge=0)
    coalesce: bool = True
    overlap: Literal["skip", "queue", "cancel", "allow"] = "skip"
    action: Literal[
        "batch",
        "check_health",
        "delete_old_rows",
        "expire_dead_letters",
        "check_ledgers",
        "sweep_orphans",
        "forecast_quota",
    ] = "batch"
    preset: EntryName = "full"
    priority: Literal["urgent", "high", "normal", "low"] = "low"
    filter: AccountFilter = AccountFilter()
    spread_s: float = Field(default=0.0, ge=0)
    is_paused: bool = False

    @property
    def when(self) -> str:
        """Its trigger in a few words."""
        if self.every_s is not None:
            text = f"every {self.every_s:g} s"
        elif self.cron is not None:
            text = self.cron
        else:
            named = f"{', '.join(self.calendar.days)} at {', '.join(self.calendar.times)}"
            text = "; ".join([*([named] if self.calendar.days else []), *self.calendar.at])
        return f"{text}, not {', '.join(self.except_days)}" if self.except_days else text


class SchedulerSettings(Section):
    lease_s: float = Field(default=3.0, gt=0, le=60)
    holidays: dict[EntryName, DayNames] = {}
    entries: dict[EntryName, ScheduleEntry] = {}


class CadenceSettings(Section):
    """How old an account may become near a match, in season and out of it (`filter.is_due`).

    In season is who has a game within `season_days`, before or after.
    """

    match_target_s: float = Field(default=3600.0, gt=0)
    season_target_s: float = Field(default=72000.0, gt=0)
    off_season_target_s: float = Field(default=561600.0, gt=0)
    match_before_s: float = Field(default=7200.0, ge=0)
    match_after_s: float = Field(default=21600.0, ge=0)
    season_days: int = Field(default=14, ge=1, le=120)
    quota_share: float = Field(default=0.5, gt=0, le=1)
