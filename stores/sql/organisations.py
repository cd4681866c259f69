"""Organisations that accounts point at or that a sync has met."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from stores.sql.engine import reading, writing
from stores.sql.tables import organisations
from stores.sql.upserts import chunked, upsert
from sync.errors import InvalidRequest
from sync.model import Organisation, OrganisationKind


class Organisations:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, kind: OrganisationKind, organisation_id: str) -> Organisation | None:
        query = select(organisations).where(
            organisations.c.id == organisation_id, organisations.c.kind == kind.value
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else read_organisation(row)

    def find_by_code(self, kind: OrganisationKind, code: str) -> Organisation | None:
        """The organisation whose id begins with a short code; None when none or several do."""
        query = select(organisations).where(
            organisations.c.id.startswith(code, autoescape=True), organisations.c.kind == kind.value
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query.limit(2)).all()
        return read_organisation(rows[0]) if len(rows) == 1 else None

    def save(self, organisation: Organisation) -> None:
        """Remember what is known; an unknown name or no associations overwrite nothing.

        Raises InvalidRequest for an id that another provider's organisation has.
        """
        with writing(self._engine) as connection:
            save_organisations(connection, [organisation])


def save_organisations(connection: Connection, known: Sequence[Organisation]) -> None:
    """Remember what is known; an unknown name or no associations overwrite nothing.

    Raises InvalidRequest for an id that another provider's organisation has.
    """
    stored: dict[tuple[str, str], Organisation] = {}
    for chunk in chunked({organisation.id for organisation in known}):
        for row in connection.execute(select(organisations).where(organisations.c.id.in_(chunk))):
            stored[row.provider, row.id] = read_organisation(row)
    for new in known:
        if (owner := other_provider_of(new.id, new.provider, stored)) is not None:
            raise InvalidRequest(why_apart(new.id, new.provider, owner))
        old = stored.get((new.provider, new.id), new)
        stored[new.provider, new.id] = replace(
            new,
            name=new.name or old.name,
            association_ids=new.association_ids or old.association_ids,
        )
    rows = {(new.provider, new.id): _row(stored[new.provider, new.id]) for new in known}
    upsert(connection, organisations, list(rows.values()))


def other_provider_of(organisation_id: str, provider: str, known: Collection[tuple[str, str]]) -> str | None:
    """Whose the id is already, of the known (provider, id); None when it is nobody else's."""
    return next((owner for owner, id_ in known if id_ == organisation_id and owner != provider), None)


def why_apart(organisation_id: str, provider: str, owner: str) -> str:
    """Records here and in a CMS are found by the provider's id alone, so one would overwrite the other's."""
    return (
        f"organisation {organisation_id} is known as one of {owner}, it cannot be {provider}'s, too: "
        "records are kept by their providers' ids, which must differ"
    )


def _row(organisation: Organisation) -> dict[str, Any]:
    return {
        "provider": organisation.provider,
        "id": organisation.id,
        "kind": organisation.kind.value,
        "name": organisation.name,
        "association_ids": list(organisation.association_ids),
    }


def read_organisation(row: Row[Any]) -> Organisation:
    return Organisation(
        id=row.id,
        kind=OrganisationKind(row.kind),
        provider=row.provider,
        name=row.name,
        association_ids=tuple(row.association_ids),
    )
