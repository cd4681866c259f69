"""Random schedules of faults; `python -m benchmarks sync --only faults` plays two hundred."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from benchmarks.sync.faults import play


@pytest.mark.parametrize("seed", range(4))
def test_faults_end_in_the_providers_data(seed: int, redis_client: redis.Redis, tmp_path: Path) -> None:
    play(seed, redis_client, tmp_path)


# A second of a core each: eighty of the benchmark's two hundred, from all over them.
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first_seed", range(0, 200, 25))
def test_eighty_schedules_end_in_the_providers_data(
    first_seed: int, redis_client: redis.Redis, tmp_path: Path
) -> None:
    for seed in range(first_seed + 4, first_seed + 14):
        play(seed, redis_client, tmp_path)
