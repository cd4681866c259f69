"""Which request meets which fault: rules with counts and chances, and seeded random schedules.

What a fault does to an answer stands in `mishaps`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from simulator.world.dice import dice


class Fault(StrEnum):
    LATENCY = "latency"  # an answer that takes `latency_s`, give or take `jitter_s`
    SLOW = "slow"  # an answer that drips over `latency_s`
    THROTTLE = "throttle"  # 429, with Retry-After as `retry_after` says
    BLOCK = "block"  # CloudFront's 403 page
    REJECT = "reject"  # 401 or 403 in JSON
    MISSING = "missing"  # 404
    ERROR = "error"  # 500, 502, 503, 504
    RESET = "reset"  # the connection is reset before any answer
    CUT = "cut"  # half of the body, then the end
    BAD_JSON = "bad_json"  # 200 and broken JSON
    HTML = "html"  # 200 and a login page
    EMPTY = "empty"  # 200 and nothing in it
    REPEAT_CURSOR = "repeat_cursor"  # the same next page for ever
    ENDLESS_CURSOR = "endless_cursor"  # always another next page
    DROPPED = "dropped"  # the request is carried out, its answer lost


# Those that a random schedule draws from unless it is told: whatever a retry can get past.
_RANDOM = (
    Fault.THROTTLE, Fault.BLOCK, Fault.ERROR, Fault.RESET, Fault.CUT, Fault.BAD_JSON, Fault.HTML,
    Fault.EMPTY, Fault.REPEAT_CURSOR, Fault.SLOW, Fault.LATENCY,
)  # fmt: skip
_STATUSES = (500, 502, 503, 504)
_RETRY_AFTER = ("seconds", "date", "none")


@dataclass(slots=True, kw_only=True)
class Rule:
    """When a fault happens.

    `path` is a glob over the address without its query; `page` "first" or "later" looks at
    the cursor; the fault starts after `after` matching requests, happens with `probability`
    (drawn from `seed`), and `count` times at most.
    """

    kind: str
    path: str = "*"
    method: str = "*"
    page: str = "any"
    count: int | None = None
    after: int = 0
    probability: float = 1.0
    seed: int = 0
    status: int | None = None
    retry_after: str = "seconds"
    retry_after_s: float = 1.0
    latency_s: float = 0.0
    jitter_s: float = 0.0
    id: int = 0
    matched: int = 0
    happened: int = 0

    def __post_init__(self) -> None:
        Fault(self.kind)
        if self.page not in ("any", "first", "later"):
            raise ValueError(f"page is {self.page!r}; it has to be any, first or later")
        if self.retry_after not in _RETRY_AFTER:
            raise ValueError(f"retry_after is {self.retry_after!r}; it has to be one of {_RETRY_AFTER}")

    def happens(self, method: str, path: str, *, has_cursor: bool) -> bool:
        """Whether this request meets the fault; counts it."""
        if self.method not in ("*", method) or not fnmatchcase(path, self.path):
            return False
        if self.page != "any" and has_cursor != (self.page == "later"):
            return False
        self.matched += 1
        if self.matched <= self.after or (self.count is not None and self.happened >= self.count):
            return False
        if dice(self.seed, self.matched).random() >= self.probability:
            return False
        self.happened += 1
        return True


@dataclass(slots=True, kw_only=True)
class RandomSchedule:
    """A seeded mix of faults over the first `requests` provider requests, then none.

    What a request meets depends on the seed, its address and how often it was asked for,
    not on the order in which concurrent requests arrive.
    """

    seed: int
    requests: int = 200
    probability: float = 0.3
    path: str = "/v[12]/*"
    kinds: list[str] = field(default_factory=lambda: [kind.value for kind in _RANDOM])
    latency_s: float = 0.2
    retry_after_s: float = 1.0
    seen: int = 0
    asked: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for kind in self.kinds:
            Fault(kind)

    def rule_for(self, method: str, path: str, target: str) -> Rule | None:
        if self.seen >= self.requests or not fnmatchcase(path, self.path):
            return None
        self.seen += 1
        self.asked[target] += 1
        rng = dice(self.seed, method, target, self.asked[target])
        if rng.random() >= self.probability:
            return None
        return Rule(
            kind=rng.choice(self.kinds),
            status=rng.choice(_STATUSES),
            retry_after=rng.choice(_RETRY_AFTER),
            retry_after_s=self.retry_after_s,
            latency_s=self.latency_s * rng.random(),
        )


class Faults:
    """The rules in force, oldest first, and at most one random schedule."""

    def __init__(self, latency_s: float = 0.0, jitter_s: float = 0.0) -> None:
        self._rules: list[Rule] = []
        self._schedule: RandomSchedule | None = None
        self._next_id = 1
        self._latency_s = latency_s
        self._jitter_s = jitter_s
        self._dice = dice("latency")

    def add(self, options: dict[str, Any]) -> dict[str, Any]:
        """Put a rule, or for kind "random" a schedule, in force; answers it as it stands.

        Raises ValueError or TypeError for an unknown kind or option.
        """
        if options.get("kind") == "random":
            self._schedule = RandomSchedule(**{key: options[key] for key in options if key != "kind"})
            return _schedule_shape(self._schedule)
        rule = Rule(**options)
        rule.id = self._next_id
        self._next_id += 1
        self._rules.append(rule)
        return asdict(rule)

    def remove(self, rule_id: int | None = None) -> None:
        """Lift one rule, or without an id everything."""
        if rule_id is None:
            self._schedule = None
        self._rules = [rule for rule in self._rules if rule_id is not None and rule.id != rule_id]

    def shapes(self) -> list[dict[str, Any]]:
        schedule = [_schedule_shape(self._schedule)] if self._schedule else []
        return [asdict(rule) for rule in self._rules] + schedule

    def base_delay_s(self) -> float:
        """The latency that every answer has."""
        return self._latency_s + self._jitter_s * self._dice.random()

    def meet(self, method: str, path: str, target: str) -> list[Rule]:
        """The faults of this request: every latency that applies and the first of the others."""
        has_cursor = "cursor=" in target
        met: list[Rule] = []
        for rule in self._rules:
            is_late = rule.kind == Fault.LATENCY
            if (is_late or all(other.kind == Fault.LATENCY for other in met)) and rule.happens(
                method, path, has_cursor=has_cursor
            ):
                met.append(rule)
        drawn = self._schedule.rule_for(method, path, target) if self._schedule else None
        return [*met, drawn] if drawn and not met else met


def _schedule_shape(schedule: RandomSchedule) -> dict[str, Any]:
    shape = asdict(schedule)
    del shape["asked"]
    return {"kind": "random", **shape}
