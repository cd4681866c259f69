"""A new version on one worker first: judged by its failures, taken back or promoted by itself.

The trial is kept where all processes see it, so whoever leads the schedule may die and the
next one goes on judging. A trial ends once: by the judge, by a person, or because other
settings came into force beneath it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import exp, lgamma
from typing import Any, Protocol

from settings.schema import CanarySettings
from sync.errors import NotFound

log = logging.getLogger(__name__)

# A first death may be anybody's fault; a second one under the same settings is theirs.
MOST_MOVES = 1
# With fewer attempts of others beside it, what all workers did before the trial counts too.
FEW_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Tally:
    """Attempts that ended; those that were only put off are not among them."""

    succeeded: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        return self.succeeded + self.failed

    @property
    def failure_rate(self) -> float:
        return self.failed / self.total if self.total else 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.succeeded + other.succeeded, self.failed + other.failed)

    def __sub__(self, other: Tally) -> Tally:
        return Tally(max(0, self.succeeded - other.succeeded), max(0, self.failed - other.failed))

    def __str__(self) -> str:
        return f"{self.failed} of {self.total}"


# What is compared with where nothing was ever attempted: a system that works.
NO_PAST = Tally(succeeded=FEW_ATTEMPTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Version `number` on the worker `process`, while `base` stays in force for the others.

    `past` is what each process had attempted under `base` when the trial began.
    """

    number: int
    base: int
    process: str
    begun_at: datetime
    for_s: float
    author: str
    reason: str
    moves: int = 0
    past: Mapping[str, Tally] = field(default_factory=dict)

    @property
    def ends_at(self) -> datetime:
        return self.begun_at + timedelta(seconds=self.for_s)


class Outcome(StrEnum):
    PROMOTED = "promoted"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the trial of version `number` ended."""

    number: int
    outcome: Outcome
    at: datetime
    reason: str


class Trials(Protocol):
    """Where the trial is kept. Raises StoreUnavailable."""

    def trial(self) -> Trial | None: ...

    def in_force_number(self) -> int: ...

    def move_trial(self, trial: Trial, moved: Trial) -> bool:
        """Put `moved` in place of the trial; False when it has changed or ended meanwhile."""
        ...

    def end_trial(self, trial: Trial, ending: Ending) -> bool:
        """Put its version in force or take it back; False when somebody else ended it."""
        ...

    def tallies(self, number: int) -> Mapping[str, Tally]:
        """What each process attempted under a version, by its name."""
        ...

    def refusal(self, process: str, number: int) -> str | None:
        """Why the process does not take the version over, if it said so."""
        ...


# Who ended it ("canary" or a person), the trial and its end: for audit and alerts.
Tell = Callable[[str, Trial, Ending], None]


class Judge:
    """Looks at the trial, if there is one; any process may, and each trial ends once."""

    def __init__(
        self,
        trials: Trials,
        living_workers: Callable[[], Sequence[str]],
        read_rules: Callable[[], CanarySettings],
        tell: Tell,
        now: Callable[[], datetime],
    ) -> None:
        self._trials = trials
        self._living_workers = living_workers
        self._read_rules = read_rules
        self._tell = tell
        self._now = now

    def look(self) -> None:
        """End or move the trial if it is time. Raises StoreUnavailable."""
        trial = self._trials.trial()
        if trial is None:
            return
        in_force = self._trials.in_force_number()
        if in_force != trial.base:
            self._withdraw(trial, f"version {in_force} came into force meanwhile")
        elif refusal := self._trials.refusal(trial.process, trial.number):
            self._withdraw(trial, f"{trial.process} refuses it: {refusal}")
        elif trial.process not in (living := self._living_workers()):
            self._move(trial, living)
        else:
            self._compare(trial)

    def _move(self, trial: Trial, living: Sequence[str]) -> None:
        if trial.moves >= MOST_MOVES:
            self._withdraw(trial, f"{trial.moves + 1} workers ended under it, the last was {trial.process}")
        elif living:
            moved = replace(trial, process=living[0], begun_at=self._now(), moves=trial.moves + 1)
            if self._trials.move_trial(trial, moved):
                log.warning(
                    "canary_moved",
                    extra={"version": trial.number, "from": trial.process, "to": moved.process},
                )
        elif self._now() > trial.ends_at:
            self._withdraw(trial, f"{trial.process} ended, and no other worker came")

    def _compare(self, trial: Trial) -> None:
        rules = self._read_rules()
        is_over = self._now() >= trial.ends_at
        tried, usual = compare(self._trials, trial)
        # Looked at every second, so chance has many chances: before the end only what is beyond
        # doubt counts, and the last look is as strict as if it were the only one (Haybittle-Peto).
        limit = rules.significance if is_over else rules.early_significance
        is_worse = tried.failure_rate - usual.failure_rate >= rules.least_rise
        comparison = f"{tried} attempts failed under it, {usual} without it"
        if is_worse and chance_of(tried, usual) < limit:
            self._withdraw(trial, comparison)
        elif is_over:
            self._end(trial, Outcome.PROMOTED, comparison)

    def _withdraw(self, trial: Trial, reason: str) -> None:
        self._end(trial, Outcome.WITHDRAWN, reason)

    def _end(self, trial: Trial, outcome: Outcome, reason: str) -> None:
        end(self._trials, trial, outcome, by="canary", at=self._now(), reason=reason, tell=self._tell)


def compare(trials: Trials, trial: Trial) -> tuple[Tally, Tally]:
    """What was attempted under the version on trial, and what it is measured by."""
    tried = _sum(trials.tallies(trial.number).values())
    return tried, _usual(trial, trials.tallies(trial.base))


def end(  # noqa: PLR0913 - one call says everything about an end
    trials: Trials, trial: Trial, outcome: Outcome, *, by: str, at: datetime, reason: str, tell: Tell
) -> bool:
    """End a trial and tell of it; False, and nothing is told, when somebody else was faster."""
    ending = Ending(number=trial.number, outcome=outcome, at=at, reason=reason)
    if not trials.end_trial(trial, ending):
        return False
    level = logging.WARNING if outcome is Outcome.WITHDRAWN else logging.INFO
    log.log(level, "canary_ended", extra=described(trial, ending))
    tell(by, trial, ending)
    return True


def described(trial: Trial, ending: Ending) -> dict[str, Any]:
    """A trial's end as the fields of a log line or an audit entry."""
    return {
        "version": trial.number,
        "outcome": ending.outcome.value,
        "why": ending.reason,
        "worker": trial.process,
    }


def chance_of(tried: Tally, usual: Tally) -> float:
    """How likely so many failures or more among the tried ones are if both fail equally often.

    Fisher's exact test, one-sided: right for any numbers, however small.
    https://en.wikipedia.org/wiki/Fisher%27s_exact_test (read 2026-11)
    """
    failed, total = tried.failed + usual.failed, tried.total + usual.total
    everything = _log_choices(total, tried.total)
    chance = 0.0
    for count in range(tried.failed, min(failed, tried.total) + 1):
        if tried.total - count > total - failed:
            continue  # more successes than there are
        ways = _log_choices(failed, count) + _log_choices(total - failed, tried.total - count)
        term = exp(ways - everything)
        chance += term
        if term < chance * 1e-12:
            break
    return min(chance, 1.0)


def _usual(trial: Trial, now: Mapping[str, Tally]) -> Tally:
    beside = _sum(
        tally - trial.past.get(process, Tally()) for process, tally in now.items() if process != trial.process
    )
    if beside.total >= FEW_ATTEMPTS:
        return beside
    known = beside + _sum(trial.past.values())
    return known if known.total else NO_PAST


def _sum(tallies: Iterable[Tally]) -> Tally:
    return sum(tallies, Tally())


def _log_choices(among: int, taken: int) -> float:
    return lgamma(among + 1) - lgamma(taken + 1) - lgamma(among - taken + 1)


def pick_worker(living: Collection[str], wanted: str | None) -> str:
    """The worker to try a version on: the wanted one, else any. Raises NotFound when it does not live."""
    if wanted is None and living:
        return min(living)
    if wanted is not None and wanted in living:
        return wanted
    known = f"one of {', '.join(sorted(living))}" if living else "none runs: start one, or set it for all"
    raise NotFound(f"there is no worker {wanted or 'to try it on'}; {known}")
