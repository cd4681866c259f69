"""Accounts of Strapi: which organisation they mean, and their flags."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from cms.registry import CmsContext, listener_of, open_cms
from cms.strapi.adapter import StrapiCms
from settings.schema import CmsSettings, StrapiSettings
from simulator.server import Answer
from stores.sql.accounts import NewAccount
from stores.sql.stores import SqlStores
from sync.errors import CmsUnavailable, InvalidRequest, NotFound
from sync.model import Organisation, OrganisationKind
from sync.report import Mode, Run, RunState
from tests.fakes import START, FakeClock
from tests.ports import free_port
from tests.strapi.server import StrapiServer

WHOLE_ID = "5d10ff00-0000-4000-8000-000000000001"
CODE = "5d10ff00"


def test_short_code_is_completed_by_an_organisation_known_here(
    cms: StrapiCms, strapi: StrapiServer, stores: SqlStores
) -> None:
    known = Organisation(id=WHOLE_ID, kind=OrganisationKind.CLUB, provider="playhq", association_ids=("a",))
    stores.organisations.save(known)
    club = strapi.add("clubs", Name="Hawks", PlayHQID=CODE)
    number = strapi.add("accounts", FirstName="Ann", clubs=[club], isSetup=True).number
    account = cms.find_account(number)

    assert account.organisation == known
    assert (account.name, account.is_setup, account.is_updating) == ("Hawks", True, False)


def test_whole_id_in_a_column_of_the_cms_is_enough(cms: StrapiCms, strapi: StrapiServer) -> None:
    address = f"https://example.test/org/harbour/{WHOLE_ID.upper()}"
    association = strapi.add("associations", Name="Harbour", href=address, PlayHQID=CODE)
    number = strapi.add("accounts", associations=[association]).number

    organisation = cms.find_account(number).organisation
    assert (organisation.id, organisation.kind) == (WHOLE_ID, OrganisationKind.ASSOCIATION)


def test_unknown_short_code_is_refused_with_the_way_out(cms: StrapiCms, strapi: StrapiServer) -> None:
    club = strapi.add("clubs", Name="Hawks", PlayHQID=CODE)
    number = strapi.add("accounts", clubs=[club]).number

    with pytest.raises(InvalidRequest, match=f"only as {CODE}; register the whole id"):
        cms.find_account(number)


def test_account_of_several_clubs_is_refused_loudly(cms: StrapiCms, strapi: StrapiServer) -> None:
    clubs = [strapi.add("clubs", Name=name, PlayHQID=name) for name in ("Hawks", "Terns")]
    number = strapi.add("accounts", clubs=clubs).number

    with pytest.raises(InvalidRequest, match="relates to several clubs: Hawks, Terns"):
        cms.find_account(number)


def test_account_type_decides_between_a_club_and_an_association(
    cms: StrapiCms, strapi: StrapiServer, stores: SqlStores
) -> None:
    stores.organisations.save(Organisation(id=WHOLE_ID, kind=OrganisationKind.ASSOCIATION, provider="playhq"))
    club = strapi.add("clubs", Name="Hawks", PlayHQID="other")
    association = strapi.add("associations", Name="Harbour", href=f"/org/{CODE}/")
    kind = strapi.add("account-types", Name="ASSOCIATION")
    number = strapi.add("accounts", clubs=[club], associations=[association], account_type=[kind]).number

    assert cms.find_account(number).organisation.kind is OrganisationKind.ASSOCIATION


def test_account_without_an_organisation_is_refused(cms: StrapiCms, strapi: StrapiServer) -> None:
    number = strapi.add("accounts", FirstName="Nobody").number

    with pytest.raises(InvalidRequest, match="no single kind"):
        cms.find_account(number)


def test_flags_are_written_only_when_they_differ(cms: StrapiCms, strapi: StrapiServer) -> None:
    number = strapi.add("accounts", FirstName="Ann", isSetup=False, isUpdating=True).number
    cms.set_flags(number, is_updating=True)
    unchanged = len(strapi.writes)
    cms.set_flags(number, is_setup=True, is_updating=False)

    assert unchanged == 0
    assert len(strapi.writes) == 1
    assert strapi.rows("accounts")[0]["isSetup"] is True
    assert strapi.rows("accounts")[0]["isUpdating"] is False


@pytest.mark.parametrize("kind", list(OrganisationKind))
def test_account_registered_here_shares_its_flags_with_the_one_of_its_organisation(
    cms: StrapiCms, strapi: StrapiServer, stores: SqlStores, kind: OrganisationKind
) -> None:
    strapi.add("accounts", FirstName="somebody else")
    organisation = strapi.add(f"{kind}s", Name="Hawks", PlayHQID=CODE, href=f"/org/hawks/{CODE}")
    strapi.add("accounts", FirstName="Ann", **{f"{kind}s": [organisation]})
    local = stores.accounts.add(
        NewAccount(kind=kind, name="Hawks", provider="playhq", organisation_id=WHOLE_ID)
    )
    cms.set_flags(local.id, is_setup=True)

    assert cms.find_account(local.id).organisation.id == WHOLE_ID
    assert cms.find_account(local.id).is_setup
    assert [row["isSetup"] for row in strapi.rows("accounts")] == [None, True]


def test_account_registered_here_serves_when_the_cms_has_none(cms: StrapiCms, stores: SqlStores) -> None:
    local = stores.accounts.add(
        NewAccount(kind=OrganisationKind.CLUB, name="Hawks", provider="playhq", organisation_id=WHOLE_ID)
    )
    cms.set_flags(local.id, is_setup=True)

    assert cms.find_account(local.id).is_setup


@pytest.mark.parametrize(
    ("mode", "state", "routes"),
    [
        (Mode.CLUB, RunState.SUCCEEDED, ["account/AccountSchedulerToFalse/"]),
        (Mode.UPDATE, RunState.FAILED, ["account/AccountSchedulerToFalse/"]),
        (Mode.ONBOARDING, RunState.SUCCEEDED, ["account/setCompleteEmail/"]),
        (Mode.ONBOARDING, RunState.PARTIAL, []),
        (Mode.CLUB_DIRECT, RunState.SUCCEEDED, []),
    ],
)
def test_cms_is_told_once_of_the_end_of_an_accounts_run(
    cms: StrapiCms, strapi: StrapiServer, mode: Mode, state: RunState, routes: list[str]
) -> None:
    account_id = strapi.add("accounts", FirstName="Ann").number
    strapi.before = lambda request: Answer(200, b"ok") if "/account/" in request.path else None
    cms.run_ended(
        Run(id="r", mode=mode, preset="full", state=state, requested_at=START, account_id=account_id)
    )

    assert [path for _, path in strapi.requests] == [f"{route}{account_id}" for route in routes]


@pytest.mark.parametrize("status", [404, 500])
def test_route_that_fails_or_is_missing_costs_nothing(
    cms: StrapiCms, strapi: StrapiServer, status: int
) -> None:
    strapi.before = lambda _: Answer(status)
    cms.run_ended(
        Run(id="r", mode=Mode.CLUB, preset="full", state=RunState.SUCCEEDED, requested_at=START, account_id=1)
    )

    assert len(strapi.requests) == 1


def test_cms_that_surely_heard_nothing_is_told_later(stores: SqlStores) -> None:
    settings = StrapiSettings(
        base_url=f"http://127.0.0.1:{free_port()}/api", token=SecretStr("t"), version="v5"
    )
    cms = open_cms(
        CmsContext(settings=CmsSettings(kind="strapi", strapi=settings), stores=stores, clock=FakeClock())
    )
    tell = listener_of(cms)
    assert tell is not None

    with pytest.raises(CmsUnavailable):
        tell(
            Run(
                id="r", mode=Mode.CLUB, preset="full", state=RunState.FAILED, requested_at=START, account_id=1
            )
        )


def test_account_that_nobody_knows_is_not_found(cms: StrapiCms) -> None:
    with pytest.raises(NotFound):
        cms.find_account(7)
