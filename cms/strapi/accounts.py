"""Accounts, and how the CMS's organisations get the provider's ids.

An account that is registered here has its organisation's whole id, and its flags are kept
in the CMS's account of the same organisation as well. One that only the CMS has is found by
the CMS's number; there its organisation has a short code, which no provider takes, and the
whole id comes from a column of its row or from the organisations known here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cms.local import LocalStores
from cms.strapi.client import StrapiClient, address_end
from cms.strapi.entries import Entry, Version
from cms.strapi.formats import short_code
from cms.strapi.projection import ASSOCIATIONS, CLUBS, KEYS
from sync.errors import InvalidRequest, NotFound, SyncError
from sync.model import Account, Organisation, OrganisationKind

log = logging.getLogger(__name__)

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
        """Raises NotFound, and InvalidRequest for an account whose organisation is not clear."""
        try:
            registered = self._stores.accounts.find(account_id)
        except NotFound:
            return self._find_in_cms(account_id)
        entry = self._find_of(registered.organisation)
        return registered if entry is None else _with_flags(registered, entry)

    def set_flags(self, account_id: int, *, is_setup: bool | None, is_updating: bool | None) -> None:
        """Raises NotFound."""
        try:
            registered = self._stores.accounts.find(account_id)
        except NotFound:
            entry: Entry | None = self._find(account_id)
        else:
            self._stores.accounts.set_flags(account_id, is_setup=is_setup, is_updating=is_updating)
            entry = self._find_of(registered.organisation)
        wanted = {
            name: value
            for name, value in (("isSetup", is_setup), ("isUpdating", is_updating))
            if value is not None and entry is not None and entry.fields.get(name) is not value
        }
        if entry is not None and wanted:
            self._client.update(_COLLECTION, entry.ref, wanted)

    def find_number(self, account_id: int) -> int | None:
        """What the CMS calls the account, or None when it has none; never raises."""
        try:
            self._stores.accounts.find(account_id)
        except NotFound:
            # It was the CMS's own number that was asked for.
            return account_id
        entry = self.find_row(account_id)
        return entry.number if entry else None

    def find_row(self, account_id: int) -> Entry | None:
        """The CMS's row of the account, or None when it has none; never raises."""
        try:
            try:
                registered = self._stores.accounts.find(account_id)
            except NotFound:
                return self._find(account_id)
            return self._find_of(registered.organisation)
        except SyncError as error:
            log.warning("cms_account_not_found", extra={"account_id": account_id, "reason": str(error)})
            return None

    def _find_in_cms(self, account_id: int) -> Account:
        entry = self._find(account_id, [*_RELATIONS.values(), _TYPE])
        kind, organisation = _organisation_of(entry, account_id)
        found = Account(
            id=account_id,
            name=_name(organisation) or _name(entry) or f"account {account_id}",
            organisation=self._identify(kind, organisation, account_id),
        )
        return _with_flags(found, entry)

    def _find_of(self, organisation: Organisation) -> Entry | None:
        """The CMS's account of an organisation; of several the oldest."""
        code = short_code(organisation.id)
        relation = _RELATIONS[organisation.kind]
        if organisation.kind is OrganisationKind.CLUB:
            found = self._client.find_linked(_COLLECTION, relation, KEYS[CLUBS], [code], [])
        else:
            related = self._client.find_by_endings(ASSOCIATIONS, "href", [code])
            numbers = [str(entries[0].number) for entries in related.values()]
            found = self._client.find_linked(_COLLECTION, relation, "id", numbers, [])
        return min(found, key=lambda entry: entry.age, default=None)

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


def _with_flags(account: Account, entry: Entry) -> Account:
    return replace(
        account,
        is_setup=bool(entry.fields.get("isSetup")),
        is_updating=bool(entry.fields.get("isUpdating")),
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
