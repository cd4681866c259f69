"""Them or us: the verdict is true in each case."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from notifications.blame import failing
from sync.causes import Cause, Party
from sync.report import RunState


@dataclass(frozen=True)
class Ended:
    """Runs of an account each, that ended alike."""

    cause: Cause | None = None
    run_count: int = 5
    provider: str | None = "playhq"
    state: RunState = RunState.FAILED
    example: str | None = None
    accounts: int | None = None

    @property
    def account_count(self) -> int:
        return self.run_count if self.accounts is None else self.accounts


def good(count: int, provider: str = "playhq") -> Ended:
    return Ended(None, count, provider, RunState.SUCCEEDED)


@pytest.mark.parametrize(
    ("cause", "key", "party"),
    [
        (Cause.PROVIDER_DOWN, "provider:playhq", Party.PROVIDER),
        (Cause.PROVIDER_THROTTLES, "provider:playhq", Party.PROVIDER),
        (Cause.PROVIDER_REFUSES_KEY, "provider:playhq", Party.PROVIDER),
        (Cause.PROXY_DOWN, "proxy", Party.PROXY),
        (Cause.CMS_DOWN, "cms", Party.CMS),
        (Cause.STORE_DOWN, "store", Party.STORE),
        (Cause.NOT_FOUND, "account", Party.ACCOUNT),
        (Cause.BUG, "code", Party.CODE),
    ],
)
def test_the_errors_say_whose_side_it_is(cause: Cause, key: str, party: Party) -> None:
    (found,) = failing([Ended(cause, 7), good(3)])
    assert (found.key, found.party, found.run_count, found.total) == (key, party, 7, 10)
    assert "7 runs of 7 accounts" in found.sentence
    assert found.step


def test_all_providers_at_once_are_our_own_network() -> None:
    tallies = [Ended(Cause.PROVIDER_DOWN), Ended(Cause.PROVIDER_DOWN, provider="playcricket")]
    assert [found.party for found in failing(tallies)] == [Party.NETWORK, Party.NETWORK]


def test_one_provider_is_to_blame_while_the_other_serves() -> None:
    (found,) = failing([Ended(Cause.PROVIDER_DOWN, 4), good(9, "playcricket")])
    assert found.party is Party.PROVIDER
    assert (found.total, found.share) == (4, 1.0)


def test_a_single_account_among_many_good_ones_is_its_own_matter() -> None:
    lonely = Ended(Cause.PROVIDER_ANSWERS_WRONGLY, 4, accounts=1)
    (found,) = failing([lonely, good(40)])
    assert (found.key, found.party) == ("provider:playhq", Party.ACCOUNT)
    (found,) = failing([lonely, good(2)])
    assert found.party is Party.PROVIDER


def test_busy_accounts_and_stopping_workers_are_nobodys_fault() -> None:
    assert failing([Ended(Cause.BUSY), Ended(Cause.STOPPING), Ended(None), good(5)]) == []


def test_the_most_frequent_comes_first_and_causes_of_one_subject_are_one() -> None:
    tallies = [
        Ended(Cause.BUG, 4),
        Ended(Cause.PROVIDER_DOWN, 3),
        Ended(Cause.PROVIDER_THROTTLES, 2, state=RunState.DEFERRED),
    ]
    assert [(found.key, found.run_count, found.cause) for found in failing(tallies)] == [
        ("provider:playhq", 5, Cause.PROVIDER_DOWN),
        ("code", 4, Cause.BUG),
    ]
