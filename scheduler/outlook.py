"""What is known of the accounts when a batch is chosen or foretold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from settings.scheduling import CadenceSettings
from settings.schema import FreshnessTarget, ProvidersSettings, Settings
from stores.sql.stores import SqlStores
from sync.cadence import Cadence, Phase, judge
from sync.model import Account, OrganisationKind
from sync.ports import Clock

# An account that was never synced has waited longest, one without a target may wait for ever.
EVER = timedelta(days=100_000)
# A first sync of a club in two seasons, and of a middling association.
USUAL_REQUESTS = {OrganisationKind.CLUB: 44, OrganisationKind.ASSOCIATION: 100}
# One request a second for a provider that the settings do not limit.
USUAL_RATE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """When accounts were last synced, what that costs, by account id, and when organisations play.

    Without `matches` all accounts are as in season.
    """

    synced_at: Mapping[int, datetime] = field(default_factory=dict)
    requests: Mapping[int, int] = field(default_factory=dict)
    matches: Mapping[str, Sequence[datetime]] | None = None
    targets: Sequence[FreshnessTarget] = ()
    cadence: CadenceSettings = field(default_factory=CadenceSettings)
    providers: ProvidersSettings = field(default_factory=ProvidersSettings)

    def age(self, account: Account, now: datetime) -> timedelta:
        synced_at = self.synced_at.get(account.id)
        return EVER if synced_at is None else now - synced_at

    def slack(self, account: Account, now: datetime) -> timedelta:
        """How long it may still wait; negative once it is overdue."""
        age = self.age(account, now)
        return -EVER if age == EVER else self.target(account, now) - age

    def target(self, account: Account, now: datetime) -> timedelta:
        """How old it may become: what its matches ask for, and in season no more than its class."""
        cadence = self.judge(account, now)
        if cadence.phase is Phase.OFF_SEASON:
            return cadence.target
        return min(cadence.target, strictest(account, self.targets))

    def judge(self, account: Account, now: datetime) -> Cadence:
        if self.matches is None:
            return Cadence(Phase.SEASON, timedelta(seconds=self.cadence.season_target_s))
        return judge(self.matches.get(account.organisation.id, ()), now, self.cadence)

    def cost(self, account: Account) -> int:
        """Requests to its provider."""
        return self.requests.get(account.id) or USUAL_REQUESTS[account.organisation.kind]

    def cost_s(self, account: Account) -> float:
        """Seconds of its provider's quota."""
        return self.cost(account) / self.rate(account.organisation.provider)

    def rate(self, provider: str) -> float:
        """Requests a second that the provider's quota allows."""
        section = getattr(self.providers, provider, None)
        return float(getattr(section, "requests_per_s", USUAL_RATE))


def strictest(account: Account, targets: Iterable[FreshnessTarget]) -> timedelta:
    """The strictest target of the classes that match the account."""
    matching = [
        target.target_s
        for target in targets
        if (not target.types or account.organisation.kind.value in target.types)
        and (not target.tags or not set(target.tags).isdisjoint(account.tags))
    ]
    return timedelta(seconds=min(matching)) if matching else EVER


def read_outlook(stores: SqlStores, settings: Callable[[], Settings], clock: Clock) -> Outlook:
    """Ask the stores; a few queries, whatever the number of accounts."""
    current, today = settings(), clock.now().date()
    around = timedelta(days=current.cadence.season_days)
    bringing_games = [name for name, preset in current.presets.items() if preset.games]
    return Outlook(
        synced_at=stores.freshness.synced_at(bringing_games),
        requests=stores.costs.requests(),
        matches=stores.matches.between(today - around, today + around),
        targets=list(current.freshness.values()),
        cadence=current.cadence,
        providers=current.providers,
    )
