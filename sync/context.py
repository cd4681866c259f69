"""What the stages of one run share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sync.changes import Change
from sync.grades.ports import Gathers, Seal, Seals, ShareOut
from sync.guard import Limits
from sync.model import Game, Grade
from sync.ports import Checkpoints, Clock, Cms, Lease, MapConcurrently, Progress, Source, StopSignal
from sync.report import Hold, RequestCounts, Stage
from sync.scope import Scope
from sync.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The settings of a run; `zone` decides what "today" is.

    `like_versions` are earlier versions of the settings that say the same to a run.
    """

    zone: str = "Australia/Sydney"
    look_back_days: int = 14
    removal_confirmations: int = 3
    limits: Limits = field(default_factory=Limits)
    extra_season_ids: frozenset[str] = frozenset()
    default_provider: str = "playhq"
    config_version: int | None = None
    like_versions: frozenset[int] = frozenset()
    # A digest of the code that makes records and plans; None: every grade is worked through.
    code: str | None = None

    def agree_with(self, version: int | None) -> bool:
        """Whether a run that began under that version would go on just the same."""
        return version == self.config_version or version in self.like_versions


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOut:
    """The ports of spreading a run's grades over all workers, and from how many on."""

    gathers: Gathers
    share_out: ShareOut
    min_grades: int = 8
    poll_s: float = 1.0


# A stage of another package: it is given the run's Context and its StageWork (`sync.work`).
Extra = Callable[["Context", Any], None]


@dataclass(slots=True)
class Sealing:
    """What the run knows of its grades' seals, by grade; see `sync.grades.seal`."""

    # Found once, when first looked for.
    seals: Mapping[str, Seal] | None = None
    # Digests of the provider's answers that `sync.ahead` asks for; None where it met trouble.
    asked_ahead: dict[str, Future[str | None]] = field(default_factory=dict)
    # Those that this run was given.
    digests: dict[str, str] = field(default_factory=dict)
    # Grades found not to be as they were sealed, with a digest of what is stored of them.
    changed: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Missing:
    """From validation to cleanup: games that were missing on enough days, of how many checked.

    A person decides about the `doubtful` ones, whose listings a guard doubts.
    """

    certain: list[Game] = field(default_factory=list)
    doubtful: list[Game] = field(default_factory=list)
    checked_count: int = 0


@dataclass(slots=True, kw_only=True)
class Context:
    """One run's ports, window and scope, and what its stages hand on to each other."""

    run_id: str
    source: Source
    cms: Cms
    lease: Lease
    checkpoints: Checkpoints
    clock: Clock
    stop: StopSignal
    progress: Progress
    map_concurrently: MapConcurrently
    rules: Rules
    window: Window
    scope: Scope
    fresh_after: datetime
    is_urgent: bool
    # Nobody waits for this run.
    is_patient: bool = False
    # What other packages do at the end, by name.
    extras: Mapping[str, Extra] = field(default_factory=dict)
    # None when this run keeps all its work to itself.
    fan_out: FanOut | None = None
    # Which grades need no work; None when all are worked through.
    seals: Seals | None = None
    # Asks what the stages will ask; None when nothing is asked ahead of them.
    ahead: Source | None = None
    sealing: Sealing = field(default_factory=Sealing)
    # How often anything was written, by this run or by other workers for it.
    writes: int = 0
    # What other workers' requests for this run came to.
    shared_requests: RequestCounts = field(default_factory=RequestCounts)
    # Then validation takes its listings from the checkpoints instead of fetching them.
    has_collected_games: bool = False
    missing: Missing = field(default_factory=Missing)
    # Grades whose fixture lacks so much that they are looked at again after all others.
    shrunken: list[Grade] = field(default_factory=list)
    # How many records each listing had in the last runs, and has in this one.
    usual_sizes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    # What the guards held back, in a real run kept with its verdict for a person to approve.
    holds: list[Hold] = field(default_factory=list)
    held: dict[Stage, list[Change]] = field(default_factory=dict)

    @property
    def requests(self) -> RequestCounts:
        """What the run has cost so far, whoever asked."""
        own = self.source.requests + self.shared_requests
        return own + self.ahead.requests if self.ahead is not None else own

    def fill_scope(self, stages: Collection[Stage], stage: Stage) -> None:
        """Take from the CMS what `stage` works on and no stage of this run collects."""
        if not self.scope.seasons and Stage.COMPETITIONS not in stages:
            self.scope.read_seasons(self.cms, self.window, self.rules.extra_season_ids)
        if not self.scope.teams and Stage.TEAMS not in stages and stage is not Stage.COMPETITIONS:
            self.scope.read_teams(self.cms, self.window)
