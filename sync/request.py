"""What a message asks for, and which organisation that is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sync.errors import InvalidRequest, NotFound
from sync.model import Account, Organisation, OrganisationKind
from sync.ports import Cms
from sync.report import Mode, Run, RunState

_KIND_OF_MODE: Mapping[Mode, OrganisationKind] = {
    Mode.CLUB: OrganisationKind.CLUB,
    Mode.CLUB_DIRECT: OrganisationKind.CLUB,
    Mode.ASSOCIATION: OrganisationKind.ASSOCIATION,
    Mode.ASSOCIATION_DIRECT: OrganisationKind.ASSOCIATION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """What a message asks for; `fresh_after` None means `requested_at`, both aware UTC."""

    run_id: str
    mode: Mode
    requested_at: datetime
    preset: str = "full"
    account_id: int | None = None
    organisation_id: str | None = None
    provider: str | None = None
    batch_id: str | None = None
    is_dry_run: bool = False
    is_restart: bool = False
    is_urgent: bool = False
    # Nobody waits for it: it comes back when a provider that is down is up again.
    is_patient: bool = False
    fresh_after: datetime | None = None


def queued_run(request: SyncRequest) -> Run:
    """The record of a run that has not begun."""
    return Run(
        id=request.run_id,
        mode=request.mode,
        preset=request.preset,
        state=RunState.QUEUED,
        requested_at=request.requested_at,
        account_id=request.account_id,
        organisation_id=request.organisation_id,
        provider=request.provider,
        batch_id=request.batch_id,
        dry_run=request.is_dry_run,
    )


def organisation_of(request: SyncRequest, cms: Cms, *, default_provider: str) -> Organisation:
    """Which one is meant. Raises InvalidRequest when it does not exist or is of another kind."""
    if request.account_id is not None:
        return _find_account(cms, request.account_id, request.mode).organisation
    if request.organisation_id is None:
        raise InvalidRequest(f"{request.mode} needs an account or an organisation")
    kind = _KIND_OF_MODE[request.mode]
    organisation_id = request.organisation_id.lower()
    organisation = cms.find_organisation(kind, organisation_id)
    if organisation is not None:
        if request.provider not in (None, organisation.provider):
            raise InvalidRequest(
                f"organisation {organisation_id} is stored as one of {organisation.provider}, "
                f"not {request.provider}"
            )
        return organisation
    for other in OrganisationKind:
        if other is not kind and cms.find_organisation(other, organisation_id) is not None:
            raise InvalidRequest(f"organisation {organisation_id} is of type {other}, not {kind}")
    provider = request.provider or default_provider
    return Organisation(id=organisation_id, kind=kind, provider=provider)


def _find_account(cms: Cms, account_id: int, mode: Mode) -> Account:
    try:
        account = cms.find_account(account_id)
    except NotFound as error:
        raise InvalidRequest(f"account {account_id} does not exist") from error
    wanted = _KIND_OF_MODE.get(mode, account.organisation.kind)
    if account.organisation.kind is not wanted:
        raise InvalidRequest(
            f"account {account_id} ({account.name}) is of type {account.organisation.kind}, not {wanted}"
        )
    return account
