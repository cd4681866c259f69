"""Accounts: added one by one or all together, found, filtered and paged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stores.sql.account_files import Providers, import_accounts
from stores.sql.accounts import AccountFilter, NewAccount
from stores.sql.stores import SqlStores
from sync.errors import InvalidRequest, NotFound
from sync.model import Organisation, OrganisationKind

PROVIDERS = Providers(installed=["playhq", "playcricket"], default="playhq")


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def club(number: int = 1, **fields: object) -> NewAccount:
    account = NewAccount(
        kind=OrganisationKind.CLUB, name=f"Club {number}", provider="playhq", organisation_id=uuid(number)
    )
    return replace(account, **fields)  # type: ignore[arg-type]  # the caller names fields


def association(number: int = 1) -> NewAccount:
    return club(number, kind=OrganisationKind.ASSOCIATION, name=f"Association {number}")


def test_added_account_is_found_again(stores: SqlStores) -> None:
    added = stores.accounts.add(club(tags=("vip", "north", "vip"), association_ids=(uuid(9),)))

    assert stores.accounts.find(added.id) == added
    assert added.tags == ("north", "vip")
    assert added.organisation.association_ids == (uuid(9),)
    assert not added.is_setup
    assert not added.is_updating


def test_adding_no_account_adds_none(stores: SqlStores) -> None:
    assert stores.accounts.add_many([]) == ()
    assert stores.accounts.count(AccountFilter()) == 0


def test_unknown_account_is_not_found(stores: SqlStores) -> None:
    with pytest.raises(NotFound, match="account 7 does not exist"):
        stores.accounts.find(7)


def test_name_of_an_account_that_lives_elsewhere_or_nowhere_is_unknown(stores: SqlStores) -> None:
    added = stores.accounts.add(club())
    assert stores.accounts.find_name(added.id) == "Club 1"
    assert stores.accounts.find_name(added.id + 1) is None


def test_same_organisation_has_one_account(stores: SqlStores) -> None:
    first = stores.accounts.add(club())

    with pytest.raises(InvalidRequest, match=f"has account {first.id} already"):
        stores.accounts.add(club(name="Another name"))


def test_organisation_is_of_one_kind(stores: SqlStores) -> None:
    stores.accounts.add(club(1))

    with pytest.raises(InvalidRequest, match="known as club, it cannot be association"):
        stores.accounts.add(association(1))


def test_id_of_another_providers_organisation_is_refused(stores: SqlStores) -> None:
    """Their seasons, grades and games would be taken for one another's."""
    stores.accounts.add(club(1, organisation_id="7", provider="playcricket"))

    with pytest.raises(InvalidRequest, match="organisation 7 is known as one of playcricket"):
        stores.accounts.add(club(2, organisation_id="7", provider="tennis"))
    with pytest.raises(InvalidRequest, match="it cannot be tennis's, too"):
        stores.organisations.save(Organisation(id="7", kind=OrganisationKind.CLUB, provider="tennis"))
    assert stores.accounts.count(AccountFilter()) == 1


def test_one_account_in_the_way_keeps_all_out(stores: SqlStores) -> None:
    stores.accounts.add(club(3))

    with pytest.raises(InvalidRequest) as caught:
        stores.accounts.add_many([club(1), club(3), association(3)])
    assert len(str(caught.value).splitlines()) == 2
    assert stores.accounts.count(AccountFilter()) == 1


def test_learned_associations_reach_the_account(stores: SqlStores) -> None:
    added = stores.accounts.add(club())
    learned = replace(added.organisation, name="Hawks", association_ids=(uuid(8),))
    stores.organisations.save(learned)

    assert stores.accounts.find(added.id).organisation == learned


def test_filters_narrow_the_list(stores: SqlStores) -> None:
    stores.accounts.add_many(
        [
            club(1, tags=("vip",)),
            club(2, name="100% Hawks"),
            association(3),
            club(4, provider="playcricket", organisation_id="4711"),
        ]
    )
    stores.accounts.set_flags(1, is_setup=True)

    def names(wanted: AccountFilter) -> list[str]:
        assert stores.accounts.count(wanted) == len(list(stores.accounts.each(wanted)))
        return [account.name for account in stores.accounts.each(wanted)]

    assert names(AccountFilter(tag="vip")) == ["Club 1"]
    assert names(AccountFilter(kind=OrganisationKind.ASSOCIATION)) == ["Association 3"]
    assert names(AccountFilter(name="0% hawk")) == ["100% Hawks"]
    assert names(AccountFilter(provider="playcricket")) == ["Club 4"]
    assert names(AccountFilter(organisation_id=uuid(2))) == ["100% Hawks"]
    assert names(AccountFilter(is_setup=True)) == ["Club 1"]
    assert names(AccountFilter(kind=OrganisationKind.CLUB, tag="nobody")) == []


def test_pages_follow_each_other(stores: SqlStores) -> None:
    stores.accounts.add_many([club(number) for number in range(1, 6)])
    seen, cursor = [], None
    while True:
        page = stores.accounts.list(AccountFilter(), limit=2, cursor=cursor)
        seen.append([account.name for account in page.items])
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == [["Club 1", "Club 2"], ["Club 3", "Club 4"], ["Club 5"]]


def test_csv_is_imported_whole(stores: SqlStores) -> None:
    text = (
        "type,name,provider,organisation,associations,tag\n"
        f'club,"Hawks, Harbour",playhq,{uuid(1).upper()},"{uuid(8)},{uuid(9)}",vip\n'
        f"association,Harbour,,{uuid(2)},,\n"
    )
    hawks, harbour = import_accounts(stores.accounts, text, PROVIDERS)

    assert hawks.name == "Hawks, Harbour"
    assert hawks.organisation.id == uuid(1)
    assert hawks.organisation.association_ids == (uuid(8), uuid(9))
    assert hawks.tags == ("vip",)
    assert harbour.organisation.provider == "playhq"


def test_json_lines_are_imported_whole(stores: SqlStores) -> None:
    text = (
        f'{{"type": "club", "name": "Hawks", "organisation": "{uuid(1)}", "tags": ["vip"]}}\n\n'
        f'{{"type": "club", "name": "Terns", "organisation": "{uuid(2)}", "associations": ["{uuid(9)}"]}}\n'
    )
    imported = import_accounts(stores.accounts, text, PROVIDERS)

    assert [account.name for account in imported] == ["Hawks", "Terns"]


def test_every_mistake_is_in_one_report_and_nothing_is_imported(stores: SqlStores) -> None:
    stores.accounts.add(club(5))
    text = (
        "type,name,provider,organisation,associations,tag\n"
        f"klub,Hawks,playhq,{uuid(1)},,\n"
        f"club,,nobody,{uuid(2)},,\n"
        "club,Terns,playhq,not-an-id,,\n"
        f"club,Fine,playhq,{uuid(3)},,\n"
        f"club,Twice,playhq,{uuid(3)},,\n"
        f"club,Known,playhq,{uuid(5)},,\n"
        f"association,Harbour,playhq,{uuid(6)},{uuid(7)},\n"
    )
    with pytest.raises(InvalidRequest) as caught:
        import_accounts(stores.accounts, text, PROVIDERS)

    reasons = str(caught.value).splitlines()
    assert [reason.split(":")[0] for reason in reasons] == [
        *("line 2", "line 3", "line 3", "line 4", "line 6", "line 7", "line 8")
    ]
    assert [reason.split(":")[1].strip() for reason in reasons] == [
        *("type", "name", "provider", "organisation", "organisation", "organisation", "associations")
    ]
    assert stores.accounts.count(AccountFilter()) == 1


def test_ten_thousand_accounts_are_imported_in_one_go(stores: SqlStores) -> None:
    lines = [f"club,Club {number},playhq,{uuid(number)},,bulk" for number in range(10_000)]
    text = "\n".join(["type,name,provider,organisation,associations,tag", *lines])

    assert len(import_accounts(stores.accounts, text, PROVIDERS)) == 10_000
    assert stores.accounts.count(AccountFilter(tag="bulk")) == 10_000
