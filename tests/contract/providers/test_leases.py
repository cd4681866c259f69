"""Leases: one holder, growing fences, taken again by the same run."""

from __future__ import annotations

import pytest

from sync.errors import AccountBusy, LeaseLost
from sync.ports import Leases


def test_second_owner_is_told_that_the_account_is_busy(leases: Leases) -> None:
    with leases.hold("playhq:a", owner="run-1"):
        with pytest.raises(AccountBusy) as busy, leases.hold("playhq:a", owner="run-2"):
            pass
        assert 0 <= busy.value.retry_after_s <= 30


def test_released_lease_is_free(leases: Leases) -> None:
    with leases.hold("playhq:a", owner="run-1"):
        pass
    with leases.hold("playhq:a", owner="run-2") as lease:
        lease.renew()


def test_failing_work_releases_its_lease(leases: Leases) -> None:
    with pytest.raises(KeyError), leases.hold("playhq:a", owner="run-1"):
        raise KeyError
    with leases.hold("playhq:a", owner="run-2"):
        pass


def test_fence_grows_with_each_holder(leases: Leases) -> None:
    tokens = []
    for owner in ("run-1", "run-2", "run-1"):
        with leases.hold("playhq:a", owner=owner) as lease:
            assert lease.fence.key == "playhq:a"
            tokens.append(lease.fence.token)
    assert tokens == sorted(set(tokens))


def test_same_run_takes_its_lease_again_and_its_former_self_has_lost_it(leases: Leases) -> None:
    with leases.hold("playhq:a", owner="run-1") as former, leases.hold("playhq:a", owner="run-1") as present:
        assert present.fence.token > former.fence.token
        present.renew()
        with pytest.raises(LeaseLost):
            former.renew()


def test_former_self_does_not_release_what_it_lost(leases: Leases) -> None:
    former = leases.hold("playhq:a", owner="run-1")
    former.__enter__()
    with leases.hold("playhq:a", owner="run-1"):
        former.__exit__(None, None, None)
        with pytest.raises(AccountBusy), leases.hold("playhq:a", owner="run-2"):
            pass


def test_organisations_do_not_wait_for_each_other(leases: Leases) -> None:
    with leases.hold("playhq:a", owner="run-1"), leases.hold("playhq:b", owner="run-2"):
        pass
