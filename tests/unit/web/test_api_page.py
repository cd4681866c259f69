"""docs/api.md names the metrics that there are."""

from __future__ import annotations

import re
from pathlib import Path

from brokers.metrics import Series, Totals
from web.metrics import COUNTED, message_families, process_families, queue_families

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


def documented_metrics() -> set[str]:
    names = set()
    for name in re.findall(r"`(clubsync_[a-z_{},]+)`", PAGE):
        head, braces, rest = name.partition("{")
        choices, _, tail = rest.partition("}")
        names |= {f"{head}{choice}{tail}" for choice in choices.split(",")} if braces else {name}
    return names


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    families = [
        *message_families({Series("syncs", "sync_club"): Totals()}),
        *queue_families([]),
        *process_families([]),
    ]
    assert {family.name for family in families} == documented_metrics()


def test_counters_end_in_total_and_times_are_in_seconds() -> None:
    families = list(message_families({Series("syncs", "sync_club"): Totals()}))
    assert len(families) == len(COUNTED) + 2
    for family in families:
        assert family.name.endswith({"counter": "_total", "histogram": "_seconds"}[family.kind])
