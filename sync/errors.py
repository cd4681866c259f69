"""Everything that can go wrong in a sync, as one tree.

The branch decides what happens to the message; the leaf tells the operator why.

    SyncError
      TransientError         retry with backoff; uses up an attempt
        ProviderUnavailable    connect, timeout, 5xx, an open breaker while somebody waits
          ProxyUnavailable       the proxy in between did not let us through
        CmsUnavailable         the CMS did not answer
        StoreUnavailable       SQL or Redis did not answer
      DeferredError          send again after retry_after_s; nothing failed
        ProviderResting        its breaker is open, and nobody waits for this run
        RateLimited            429, or a 403 whose body is not JSON
          CmsThrottles           the CMS's 429
        AccountBusy            another worker holds the account's lease
        LeaseLost              this worker no longer holds it and must not write
        Stopping               the worker drains; the rest goes to another one
      PermanentError         dead letter at once
        CredentialsRejected    401, or a 403 with a JSON body
          CmsRefusesKey          the same of the CMS
        NotFound               404, 410; may be an answer, so a stage decides
        AddressGone            410 of whoever is told something: it wants to be told no more
        UnexpectedResponse     a payload broke its contract
          CmsAnswersWrongly      the CMS's answer did
        InvalidRequest         the message asks for something that cannot be
          Overtaken              it could have been once, but the world has changed since
    ConfigurationError       start-up only; the process exits
"""

from __future__ import annotations


class SyncError(Exception):
    """Base of all expected failures; `str()` is one clear sentence without secrets."""


class TransientError(SyncError):
    """May pass by itself: retried with backoff, uses up an attempt."""


class ProviderUnavailable(TransientError):
    """The provider did not answer, answered 5xx, or its breaker is open."""


class ProxyUnavailable(ProviderUnavailable):
    """No proxy let the request through; the provider was not reached."""


class CmsUnavailable(TransientError):
    """The CMS did not answer."""


class StoreUnavailable(TransientError):
    """SQL or Redis did not answer."""


class DeferredError(SyncError):
    """Nothing failed, but not now: sent again after `retry_after_s`, no attempt used."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ProviderResting(DeferredError):
    """The provider kept failing and is left alone for a while; a run of a night comes back later."""


class RateLimited(DeferredError):
    """The provider throttles this key, or the quota is used up."""


class CmsThrottles(RateLimited):
    """The CMS asks for fewer requests."""


class AccountBusy(DeferredError):
    """Another run holds the account's lease."""


class LeaseLost(DeferredError):
    """The lease passed to somebody else while this run worked; it must not write."""


class Stopping(DeferredError):
    """The worker is draining; another one takes the run from its checkpoint."""


class PermanentError(SyncError):
    """Trying again cannot help: the message goes to the dead letters at once."""


class CredentialsRejected(PermanentError):
    """The provider or the CMS refused our key."""


class CmsRefusesKey(CredentialsRejected):
    """The CMS refused our token."""


class NotFound(PermanentError):
    """The record does not exist upstream, or not any more."""


class AddressGone(PermanentError):
    """Whoever is told something answered 410: it does not want to be told anything any more."""


class UnexpectedResponse(PermanentError):
    """An answer broke its contract: wrong type, missing required field, not JSON."""


class CmsAnswersWrongly(UnexpectedResponse):
    """An answer of the CMS broke its contract."""


class InvalidRequest(PermanentError):
    """The request cannot be carried out: wrong id, wrong type for an id, unknown preset."""


class Overtaken(InvalidRequest):
    """What was looked at is not so any more: decided by somebody else, written over, or gone."""


class ConfigurationError(Exception):
    """The settings are unusable; the message lists every problem, one a line."""
