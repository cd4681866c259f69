from __future__ import annotations

import pytest

from brokers.metrics import BOUNDS_S, Histogram


def histogram(counts: dict[int, int]) -> Histogram:
    return Histogram(counts=[counts.get(bucket, 0) for bucket in range(len(BOUNDS_S) + 1)])


@pytest.mark.parametrize(
    ("counts", "share", "expected_s"),
    [
        ({}, 0.5, None),
        ({0: 10}, 0.5, 0.0025),
        ({7: 4}, 0.5, 0.75),
        ({0: 90, 9: 10}, 0.5, 0.005 * 50 / 90),
        ({0: 90, 9: 10}, 0.95, 3.75),
        ({0: 1, 15: 1}, 0.99, BOUNDS_S[-1]),
    ],
)
def test_a_quantile_lies_within_its_bucket(
    counts: dict[int, int], share: float, expected_s: float | None
) -> None:
    assert histogram(counts).quantile_s(share) == (None if expected_s is None else pytest.approx(expected_s))


def test_histograms_add_up() -> None:
    whole = Histogram(counts=[1] * 16, sum_s=2.0)
    whole.add(histogram({3: 4}))
    assert (whole.count, whole.counts[3], whole.sum_s) == (20, 5, 2.0)
