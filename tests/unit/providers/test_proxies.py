"""The rotation of proxies."""

from __future__ import annotations

from providers.proxies import RESTS_FOR_S, Rotation
from tests.outbound import Stopwatch


def take(rotation: Rotation[str], count: int) -> str:
    return "".join(rotation.next()[1] for _ in range(count))


def test_members_take_turns() -> None:
    assert take(Rotation("abc", Stopwatch()), 7) == "abcabca"


def test_resting_member_is_left_out_until_its_rest_is_over() -> None:
    clock = Stopwatch()
    rotation = Rotation("abc", clock)
    number, _ = rotation.next()
    rotation.rest(number)
    assert "a" not in take(rotation, 6)
    clock.now_s += RESTS_FOR_S
    assert "a" in take(rotation, 3)


def test_longest_resting_member_serves_when_all_rest() -> None:
    clock = Stopwatch()
    rotation = Rotation("ab", clock)
    rotation.rest(1)
    clock.now_s += 1
    rotation.rest(0)
    assert take(rotation, 3) == "bbb"


def test_single_member_always_serves() -> None:
    rotation = Rotation("a", Stopwatch())
    rotation.rest(0)
    assert take(rotation, 2) == "aa"
