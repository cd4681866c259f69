"""Says before the night whether its requests fit into the providers' quotas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from scheduler.housework import Found
from scheduler.outlook import Outlook
from scheduler.schedule import Entry, Tick
from scheduler.selection import in_line
from stores.redis.batches import Batch
from sync.model import Account
from sync.ports import Clock

HORIZON = timedelta(hours=24)


class QuotaForecast:
    """`entries` answers the table in force, `planned` the batch that a tick would start."""

    def __init__(
        self,
        entries: Callable[[], Iterable[Entry]],
        planned: Callable[[Entry, Tick], Batch],
        accounts: Callable[[], Iterable[Account]],
        outlook: Callable[[], Outlook],
        clock: Clock,
    ) -> None:
        self._entries = entries
        self._planned = planned
        self._accounts = accounts
        self._outlook = outlook
        self._clock = clock

    def __call__(self, raise_if_not_leading: Callable[[], None]) -> Found:
        now, outlook, accounts = self._clock.now(), self._outlook(), list(self._accounts())
        said, is_alarm = [], False
        for entry, tick in self._coming(now):
            raise_if_not_leading()
            batch = self._planned(entry, tick)
            for provider, requests in _requests(batch, accounts, outlook).items():
                needed_s = requests / outlook.rate(provider)
                window_s = batch.spread_s or HORIZON.total_seconds()
                fits = needed_s <= window_s
                is_alarm = is_alarm or not fits
                said.append(_sentence(entry, tick, f"{requests} requests to {provider}", needed_s, window_s))
        return Found("; ".join(said) or "no batch within a day", is_alarm=is_alarm)

    def _coming(self, now: datetime) -> Iterable[tuple[Entry, Tick]]:
        for entry in self._entries():
            # What keeps within a share of the quota by itself always fits.
            if entry.settings.action != "batch" or entry.settings.filter.is_near_match:
                continue
            tick = entry.next_tick(now)
            if tick is not None and tick.at <= now + HORIZON:
                yield entry, tick


def _requests(batch: Batch, accounts: Sequence[Account], outlook: Outlook) -> Mapping[str, int]:
    requests: dict[str, int] = defaultdict(int)
    for account in in_line(batch, accounts, outlook):
        requests[account.organisation.provider] += outlook.cost(account)
    return requests


def _sentence(entry: Entry, tick: Tick, what: str, needed_s: float, window_s: float) -> str:
    ends_at = tick.due_at + timedelta(seconds=needed_s)
    verdict = "fits" if needed_s <= window_s else f"does not fit and ends about {ends_at:%a %H:%M} UTC"
    return f"{entry.id}: {what} need {needed_s / 3600:.1f} h of {window_s / 3600:.1f} h: {verdict}"
