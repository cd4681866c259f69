from __future__ import annotations

import pytest

from sync import errors
from sync.causes import Cause, Party, cause_of


def every_kind(kind: type[errors.SyncError] = errors.SyncError) -> list[type[errors.SyncError]]:
    own = [sub for sub in kind.__subclasses__() if sub.__module__ == errors.__name__]
    return [found for sub in own for found in (sub, *every_kind(sub))]


@pytest.mark.parametrize("kind", every_kind(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_has_a_cause(kind: type[errors.SyncError]) -> None:
    error = kind("x", retry_after_s=1) if issubclass(kind, errors.DeferredError) else kind("x")
    assert cause_of(error) is not Cause.BUG


@pytest.mark.parametrize(
    ("error", "party"),
    [
        (errors.ProviderUnavailable("x"), Party.PROVIDER),
        (errors.RateLimited("x", retry_after_s=1), Party.PROVIDER),
        (errors.ProxyUnavailable("x"), Party.PROXY),
        (errors.CmsUnavailable("x"), Party.CMS),
        (errors.CmsRefusesKey("x"), Party.CMS),
        (errors.CmsThrottles("x", retry_after_s=1), Party.CMS),
        (errors.StoreUnavailable("x"), Party.STORE),
        (errors.NotFound("x"), Party.ACCOUNT),
        (KeyError("x"), Party.CODE),
        (errors.AccountBusy("x", retry_after_s=1), None),
    ],
)
def test_it_is_said_whose_side_it_is_on(error: BaseException, party: Party | None) -> None:
    assert cause_of(error).party is party


def test_a_provider_that_is_left_alone_is_down_and_does_not_throttle() -> None:
    assert cause_of(errors.ProviderResting("x", retry_after_s=1)) is Cause.PROVIDER_DOWN
