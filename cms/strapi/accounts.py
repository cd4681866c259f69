"""Accounts of the CMS, and how its organisations get the provider's ids.

The CMS knows an organisation by a short code only, which no provider takes. The whole id
is found in a column of the organisation's row, or among the organisations known here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cms.local import LocalStores
from cms.strapi.client import StrapiClient, address_end
from cms.strapi.entries import Entry, Version
from cms.strapi.formats import short_code
from sync.errors import InvalidRequest, NotFound
from sync.model import Account, Organisation, OrganisationKind

_COLLECTION = "accounts"
# The short codes are PlayHQ's.
_PROVIDER = "playhq"
_RELATIONS = {OrganisationKind.CLUB: "clubs", OrganisationKind.ASSOCIATION: "associations"}
_TYPE = "account_type"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Accounts:
    def __init__(self, client: StrapiClient, stores: LocalStores) -> None:
        self._client = client
        self._stores = stores

    def find(self, account_id: int) -> Account:
        """The account in the CMS, else one that was registered here.

        Raises NotFound, and InvalidRequest for an account whose organisation is not clear.
        """
        try:
            entry = self._find(account_id, [*_RELATIONS.values(), _TYPE])
        except NotFound:
            return self._stores.accounts.find(account_id)
        kind, organisation = _organisation_of(entry, account_id)
        return Account(
            id=account_id,
            name=_name(organisation) or _name(entry) or f"account {account_id}",
            organisation=self._identify(kind, organisation, account_id),
            is_setup=bool(entry.fields.get("isSetup")),
            is_updating=bool(entry.fields.get("isUpdating")),
        )

    def set_flags(self, account_id: int, *, is_setup: bool | None, is_updating: bool | None) -> None:
        """Raises NotFound."""
        flags = {"isSetup": is_setup, "isUpdating": is_updating}
        try:
            entry = self._find(account_id)
        except NotFound:
            self._stores.accounts.set_flags(account_id, is_setup=is_setup, is_updating=is_updating)
            return
        wanted = {
            name: value
            for name, value in flags.items()
            if value is not None and entry.fields.get(name) is not value
        }
        if wanted:
            self._client.update(_COLLECTION, entry.ref, wanted)

    def _find(self, account_id: int, relations: Sequence[str] = ()) -> Entry:
        # With drafts, v5 gives a row a new number at each write: the first one is what people know.
        known = self._stores.cms_refs.find(_COLLECTION, str(account_id))
        if known is not None:
            return self._client.find_by_ref(_COLLECTION, known, relations)
        entry = self._client.find_by_id(_COLLECTION, account_id, relations)
        if entry.version is Version.V5:
            self._stores.cms_refs.save(_COLLECTION, str(account_id), entry.ref)
        return entry

    def _identify(self, kind: OrganisationKind, entry: Entry, account_id: int) -> Organisation:
        code = _code(entry)
        name = _name(entry)
        known = self._stores.organisations.find_by_code(kind, code) if code else None
        if known is not None:
            return known
        if (whole := _whole_id(entry.fields, code)) is not None:
            return Organisation(id=whole, kind=kind, provider=_PROVIDER, name=name)
        raise InvalidRequest(
            f"account {account_id}: the CMS knows its {kind} only as {code or 'nothing'}; register the whole"
            f" id once: clubsync accounts add --type {kind} --name … --organisation UUID"
        )


def _organisation_of(entry: Entry, account_id: int) -> tuple[OrganisationKind, Entry]:
    related: Mapping[OrganisationKind, Sequence[Entry]] = {
        kind: entry.relations.get(name, ()) for kind, name in _RELATIONS.items()
    }
    kinds = [kind for kind, entries in related.items() if entries]
    types = entry.relations.get(_TYPE, ())
    if len(kinds) > 1 and types:
        named = str(_name(types[0])).lower()
        kinds = [kind for kind in kinds if kind.value == named]
    if len(kinds) != 1:
        raise InvalidRequest(f"account {account_id} relates to no single kind of organisation in the CMS")
    entries = related[kinds[0]]
    if len(entries) > 1:
        names = ", ".join(str(_name(other) or other.number) for other in entries)
        raise InvalidRequest(
            f"account {account_id} relates to several {_RELATIONS[kinds[0]]}: {names}; sync each directly"
        )
    return kinds[0], entries[0]


def _code(entry: Entry) -> str:
    return str(entry.fields.get("PlayHQID") or address_end(entry.fields.get("href"))).lower()


def _name(entry: Entry) -> str | None:
    """The first column that is called a name, whatever the CMS's spelling."""
    for name, value in entry.fields.items():
        if name.lower().endswith("name") and isinstance(value, str) and value:
            return value
    return None


def _whole_id(fields: Mapping[str, Any], code: str) -> str | None:
    for value in fields.values():
        for found in _UUID.findall(value) if isinstance(value, str) else ():
            if short_code(found.lower()) == code or not code:
                return str(found.lower())
    return None
