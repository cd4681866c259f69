"""Organisations that accounts point at or that a sync has met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from stores.sql.engine import reading, writing
from stores.sql.tables import organisations
from stores.sql.upserts import chunked, upsert
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
        """Remember what is known; an unknown name or no associations overwrite nothing."""
        with writing(self._engine) as connection:
            save_organisations(connection, [organisation])


def save_organisations(connection: Connection, known: Sequence[Organisation]) -> None:
    """Remember what is known; an unknown name or no associations overwrite nothing."""
    stored: dict[tuple[str, str], Organisation] = {}
    for chunk in chunked({organisation.id for organisation in known}):
        for row in connection.execute(select(organisations).where(organisations.c.id.in_(chunk))):
            stored[row.provider, row.id] = read_organisation(row)
    for new in known:
        old = stored.get((new.provider, new.id), new)
        stored[new.provider, new.id] = replace(
            new,
            name=new.name or old.name,
            association_ids=new.association_ids or old.association_ids,
        )
    rows = {(new.provider, new.id): _row(stored[new.provider, new.id]) for new in known}
    upsert(connection, organisations, list(rows.values()))


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
