"""Them or us: whose side failures are on, from what failed, for whom, and what went well; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from notifications.subjects import subject_key
from sync.causes import Cause, Party
from sync.report import RunState

# So many accounts of a provider that went well show that it is up.
ENOUGH_GOOD_ACCOUNTS = 3

WHOSE: Mapping[Party, str] = {
    Party.PROVIDER: "them: the provider",
    Party.PROXY: "us: the proxy",
    Party.NETWORK: "us: our way to the network",
    Party.CMS: "the CMS",
    Party.STORE: "us: Redis or the database",
    Party.ACCOUNT: "the accounts' own data",
    Party.CODE: "us: our code",
}
STEPS: Mapping[Party, str] = {
    Party.PROVIDER: (
        "Look at the provider's status page. What used up its attempts meanwhile: "
        "`clubsync dead groups`, then `clubsync dead retry --error GROUP`."
    ),
    Party.PROXY: (
        "Look at the proxies of `http.proxies`: address, password, plan; "
        "`clubsync config check --connect` tries them."
    ),
    Party.NETWORK: "Look at this machine's network, name resolution and proxies; ask the providers last.",
    Party.CMS: "Look at the CMS and its log; `clubsync config check --connect` tries it.",
    Party.STORE: "Look at Redis and the database: `clubsync status`.",
    Party.ACCOUNT: "`clubsync runs list --state failed`: mend the accounts' ids and types.",
    Party.CODE: "A developer needs the trace: `clubsync dead list`, then `clubsync dead show ID --json`.",
}
_KEY_STEP = "Put the right key into the settings, then `clubsync dead retry --search CredentialsRejected`."
_CONTRACT_STEP = "It needs a developer; `CLUBSYNC_HTTP__RECORDS_RUNS=true` keeps the answers of further runs."
_THROTTLE_STEP = (
    "Wait; if it goes on, ask more slowly: `clubsync config set providers.NAME.requests_per_s=…`."
)
_STEPS_BY_CAUSE: Mapping[Cause, str] = {
    Cause.PROVIDER_REFUSES_KEY: _KEY_STEP,
    Cause.CMS_REFUSES_KEY: _KEY_STEP.replace("CredentialsRejected", "CmsRefusesKey"),
    Cause.PROVIDER_ANSWERS_WRONGLY: _CONTRACT_STEP,
    Cause.PROVIDER_THROTTLES: _THROTTLE_STEP,
}


def step_of(cause: Cause) -> str:
    """What somebody does about runs that end for that cause, which is somebody's fault."""
    assert cause.party is not None  # noqa: S101  nobody's fault has no step
    return _STEPS_BY_CAUSE.get(cause, STEPS[cause.party])


class Tally(Protocol):
    """Runs that ended alike, or are put off for the same cause (`stores.sql.outcomes.Tally`)."""

    @property
    def provider(self) -> str | None: ...
    @property
    def state(self) -> RunState: ...
    @property
    def cause(self) -> Cause | None: ...
    @property
    def run_count(self) -> int: ...
    @property
    def account_count(self) -> int: ...
    @property
    def example(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """Failures of one subject, and the verdict on them; `total` are all runs that they compare with."""

    key: str
    party: Party
    cause: Cause
    run_count: int
    account_count: int
    total: int
    sentence: str
    step: str

    @property
    def share(self) -> float:
        return self.run_count / self.total if self.total else 0.0


def failing(tallies: Sequence[Tally]) -> Sequence[Failing]:
    """The failures among the runs, by subject, the most frequent first."""
    groups: dict[str, list[Tally]] = defaultdict(list)
    for tally in tallies:
        if tally.cause is not None and (key := subject_key(tally.cause, tally.provider)):
            groups[key].append(tally)
    found = [_judged(key, group, tallies) for key, group in groups.items()]
    return sorted(found, key=lambda one: (-one.run_count, one.key))


def _judged(key: str, group: Sequence[Tally], tallies: Sequence[Tally]) -> Failing:
    worst = max(group, key=lambda tally: tally.run_count)
    assert worst.cause is not None  # noqa: S101  only such are grouped
    runs = sum(tally.run_count for tally in group)
    accounts = sum(tally.account_count for tally in group)
    comparable = [t for t in tallies if not key.startswith("provider:") or t.provider == worst.provider]
    good = [tally for tally in comparable if tally.state is RunState.SUCCEEDED]
    party = _party(worst.cause, key, accounts, good, tallies)
    return Failing(
        key=key,
        party=party,
        cause=worst.cause,
        run_count=runs,
        account_count=accounts,
        total=sum(tally.run_count for tally in comparable),
        sentence=_sentence(worst, runs, accounts, good, party),
        step=step_of(worst.cause) if party is worst.cause.party else STEPS[party],
    )


def _party(cause: Cause, key: str, accounts: int, good: Sequence[Tally], tallies: Sequence[Tally]) -> Party:
    """Whose side: what the errors say, unless what went well or also failed says otherwise."""
    party = cause.party
    assert party is not None  # noqa: S101  nobody's fault makes no group
    if party is not Party.PROVIDER:
        return party
    down = {t.provider for t in tallies if t.cause is Cause.PROVIDER_DOWN and t.provider}
    if cause is Cause.PROVIDER_DOWN and len(down) > 1 and not good:
        # Two providers do not fail in the same minutes; what they share is on our side.
        return Party.NETWORK
    good_accounts = sum(tally.account_count for tally in good)
    is_lonely = accounts == 1 and good_accounts >= ENOUGH_GOOD_ACCOUNTS and key.startswith("provider:")
    return Party.ACCOUNT if is_lonely and cause is not Cause.PROVIDER_THROTTLES else party


def _sentence(worst: Tally, runs: int, accounts: int, good: Sequence[Tally], party: Party) -> str:
    went_well = sum(tally.run_count for tally in good)
    beside = f"{went_well:,} went well" if went_well else "none went well"
    example = f": {worst.example.removesuffix('.')}" if worst.example else ""
    provider = f" of {worst.provider}" if worst.provider else ""
    cause = str(worst.cause).replace("_", " ")
    of = "1 account" if accounts == 1 else f"{accounts:,} accounts"
    return (
        f"{runs:,} {'run' if runs == 1 else 'runs'} of {of}{provider} did not succeed ({cause}), {beside}. "
        f"It is on the side of {WHOSE[party]}{example}."
    )
