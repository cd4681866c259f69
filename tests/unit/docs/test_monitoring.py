"""What Grafana and Prometheus are told to look at is what `/metrics` tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from brokers.queues import Queue
from tests.unit.docs.pages import ROOT
from web.metrics import (
    COUNTED,
    Family,
    message_families,
    process_families,
    provider_families,
    queue_families,
    run_families,
)

FOLDER = ROOT / "docs" / "monitoring"
NAME = re.compile(r"\bclubsync_[a-z_]+\b")
SUFFIXES = {
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
    "counter": ("",),
    "gauge": ("",),
}


def families() -> list[Family]:
    return [
        *message_families({}),
        *queue_families([]),
        *process_families([]),
        *run_families({}),
        *provider_families({}),
    ]


def told_names() -> set[str]:
    return {family.name + suffix for family in families() for suffix in SUFFIXES[family.kind]}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_expressions() -> Iterator[str]:
    dashboard = json.loads((FOLDER / "grafana.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (one["expr"] for one in dashboard["annotations"]["list"])
    yield from (one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_a_rule_asks_for_metrics_that_exist_and_says_what_to_do(rule: dict[str, Any]) -> None:
    named = set(NAME.findall(rule["expr"]))
    assert named
    assert named <= told_names()
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["mend"]
    assert rule["labels"]["severity"] in {"page", "ticket"}


def test_rules_name_queues_that_exist() -> None:
    alternatives = re.findall(r'queue=~?"([^"]+)"', (FOLDER / "alerts.yml").read_text())
    assert {name for one in alternatives for name in one.split("|")} <= {queue.value for queue in Queue}


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    named = {name for expression in dashboard_expressions() for name in NAME.findall(expression)}
    assert named
    assert named <= told_names()


def test_panels_stand_beside_each_other() -> None:
    panels = json.loads((FOLDER / "grafana.json").read_text())["panels"]
    places = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24  # Grafana's columns


def test_the_page_tells_every_metric_with_its_kind() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted((family.name, family.kind) for family in families())


def test_counters_end_in_total_and_times_are_in_seconds() -> None:
    for family in families():
        assert family.name.endswith("_total") == (family.kind == "counter")
        if family.kind in {"histogram", "summary"}:
            assert family.name.endswith("_seconds")


def test_every_event_that_is_counted_is_a_metric() -> None:
    assert {f"clubsync_messages_{event}_total" for event in COUNTED} <= told_names()
