"""Random schedules of faults; `python -m benchmarks sync --only faults` plays two hundred."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from benchmarks.sync.faults import play


@pytest.mark.parametrize("seed", range(4))
def test_faults_end_in_the_providers_data(seed: int, redis_client: redis.Redis, tmp_path: Path) -> None:
    play(seed, redis_client, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first_seed", range(0, 200, 25))
def test_two_hundred_schedules_end_in_the_providers_data(
    first_seed: int, redis_client: redis.Redis, tmp_path: Path
) -> None:
    for seed in range(first_seed, first_seed + 25):
        play(seed, redis_client, tmp_path)
