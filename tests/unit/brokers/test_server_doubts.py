from __future__ import annotations

from typing import Any

import pytest

from brokers.server_doubts import find_doubts

WELL: dict[str, Any] = {
    "redis_version": "7.4.1",
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "maxmemory": 1000,
    "used_memory": 500,
}


def test_a_well_kept_server_raises_no_doubt() -> None:
    assert list(find_doubts(WELL)) == []
    assert list(find_doubts({**WELL, "maxmemory": 0})) == []


@pytest.mark.parametrize(
    ("changes", "unit", "mend"),
    [
        ({"redis_version": "6.2.0"}, "redis version", "7.0 or newer"),
        ({"maxmemory_policy": "allkeys-lru"}, "maxmemory-policy", "CONFIG SET maxmemory-policy noeviction"),
        ({"aof_enabled": 0}, "aof_enabled", "CONFIG SET appendonly yes"),
        ({"used_memory": 950}, "percent", "nearly full"),
    ],
)
def test_what_puts_messages_at_risk_is_named_with_its_mend(
    changes: dict[str, Any], unit: str, mend: str
) -> None:
    (doubt,) = find_doubts({**WELL, **changes})
    assert (doubt.unit, doubt.is_stopping) == (unit, False)
    assert mend in doubt.mend


def test_a_doubt_reads_as_words() -> None:
    (full,) = find_doubts({**WELL, "used_memory": 950})
    (forgetful,) = find_doubts({**WELL, "aof_enabled": 0})
    assert (full.said, forgetful.said) == ("95 % full", "aof_enabled 0")


def test_a_full_server_stops_everything_and_comes_first() -> None:
    first, *_ = find_doubts({**WELL, "used_memory": 1001, "aof_enabled": 0})
    assert (first.value, first.is_stopping) == (100, True)
