"""Why a run did not succeed, and on whose side that is: them or us."""

from __future__ import annotations

from enum import StrEnum

from sync.errors import (
    AccountBusy,
    CmsAnswersWrongly,
    CmsRefusesKey,
    CmsThrottles,
    CmsUnavailable,
    CredentialsRejected,
    DeferredError,
    InvalidRequest,
    LeaseLost,
    NotFound,
    PermanentError,
    ProviderResting,
    ProviderUnavailable,
    ProxyUnavailable,
    RateLimited,
    Stopping,
    StoreUnavailable,
    SyncError,
    TransientError,
    UnexpectedResponse,
)


class Party(StrEnum):
    """Who has to mend it."""

    PROVIDER = "provider"
    PROXY = "proxy"
    NETWORK = "network"  # what all providers are reached through
    CMS = "cms"
    STORE = "store"  # our Redis or SQL
    ACCOUNT = "account"  # what the account or the request says
    CODE = "code"


class Cause(StrEnum):
    """What ended a run, or put it off; kept with it, so that runs can be grouped by it."""

    PROVIDER_DOWN = "provider_down"
    PROVIDER_THROTTLES = "provider_throttles"
    PROVIDER_REFUSES_KEY = "provider_refuses_key"
    PROVIDER_ANSWERS_WRONGLY = "provider_answers_wrongly"
    PROXY_DOWN = "proxy_down"
    CMS_DOWN = "cms_down"
    CMS_THROTTLES = "cms_throttles"
    CMS_REFUSES_KEY = "cms_refuses_key"
    CMS_ANSWERS_WRONGLY = "cms_answers_wrongly"
    STORE_DOWN = "store_down"
    NOT_FOUND = "not_found"
    INVALID_REQUEST = "invalid_request"
    BUSY = "busy"
    STOPPING = "stopping"
    BUG = "bug"

    @property
    def party(self) -> Party | None:
        """None for what is nobody's fault: the account is busy, the worker ends."""
        return _PARTIES[self]


# No sync succeeds until a person has put the right key into the settings.
KEY_REFUSED = (Cause.PROVIDER_REFUSES_KEY, Cause.CMS_REFUSES_KEY)
# What our own settings make fail.
OURS_TO_MEND = (*KEY_REFUSED, Cause.PROXY_DOWN)

# By the most particular type; the first that matches.
_CAUSES: tuple[tuple[type[SyncError], Cause], ...] = (
    (ProxyUnavailable, Cause.PROXY_DOWN),
    (ProviderUnavailable, Cause.PROVIDER_DOWN),
    (ProviderResting, Cause.PROVIDER_DOWN),
    (CmsThrottles, Cause.CMS_THROTTLES),
    (RateLimited, Cause.PROVIDER_THROTTLES),
    (CmsRefusesKey, Cause.CMS_REFUSES_KEY),
    (CredentialsRejected, Cause.PROVIDER_REFUSES_KEY),
    (CmsAnswersWrongly, Cause.CMS_ANSWERS_WRONGLY),
    (UnexpectedResponse, Cause.PROVIDER_ANSWERS_WRONGLY),
    (CmsUnavailable, Cause.CMS_DOWN),
    (StoreUnavailable, Cause.STORE_DOWN),
    (NotFound, Cause.NOT_FOUND),
    (InvalidRequest, Cause.INVALID_REQUEST),
    (AccountBusy, Cause.BUSY),
    (LeaseLost, Cause.BUSY),
    (Stopping, Cause.STOPPING),
    # A stranger's adapter that raises the branch instead of a leaf; most of them are providers.
    (TransientError, Cause.PROVIDER_DOWN),
    (DeferredError, Cause.PROVIDER_THROTTLES),
    (PermanentError, Cause.PROVIDER_ANSWERS_WRONGLY),
)

_PARTIES: dict[Cause, Party | None] = {
    Cause.PROVIDER_DOWN: Party.PROVIDER,
    Cause.PROVIDER_THROTTLES: Party.PROVIDER,
    Cause.PROVIDER_REFUSES_KEY: Party.PROVIDER,
    Cause.PROVIDER_ANSWERS_WRONGLY: Party.PROVIDER,
    Cause.PROXY_DOWN: Party.PROXY,
    Cause.CMS_DOWN: Party.CMS,
    Cause.CMS_THROTTLES: Party.CMS,
    Cause.CMS_REFUSES_KEY: Party.CMS,
    Cause.CMS_ANSWERS_WRONGLY: Party.CMS,
    Cause.STORE_DOWN: Party.STORE,
    Cause.NOT_FOUND: Party.ACCOUNT,
    Cause.INVALID_REQUEST: Party.ACCOUNT,
    Cause.BUSY: None,
    Cause.STOPPING: None,
    Cause.BUG: Party.CODE,
}


def cause_of(error: BaseException) -> Cause:
    """The cause that an error stands for; one that is not of our tree is a bug of ours."""
    return next((cause for kind, cause in _CAUSES if isinstance(error, kind)), Cause.BUG)
