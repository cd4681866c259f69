from __future__ import annotations

import pytest

from brokers.fingerprints import fingerprint


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("NotFound: grade 17 of season 9 is gone", "NotFound: grade … of season … is gone"),
        ("no answer (503) after 3 attempts", "no answer (503) after … attempts"),
        ("the provider answered 503", "the provider answered 503"),
        ("game 8f1f3c9e-5a0b-4b63-9d0f-2f6f6d1f7a10: no status", "game … no status"),
        ("team deadbeef is gone", "team … is gone"),
        ("two words\nand a trace\n", "two words"),
        ("   ", "unknown"),
    ],
)
def test_what_differs_from_message_to_message_is_left_out(error: str, expected: str) -> None:
    assert fingerprint(error) == expected


def test_it_is_short_whatever_the_error_is() -> None:
    assert len(fingerprint("word " * 1000)) <= 200
