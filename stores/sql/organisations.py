"""Organisations that accounts point at or that a sync has met."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from stores.sql.engine import reading, writing
from stores.sql.tables import organisations
from stores.sql.upserts import upsert
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

    def save(self, organisation: Organisation) -> None:
        """Remember what is known; an unknown name or no associations overwrite nothing."""
        with writing(self._engine) as connection:
            save_organisation(connection, organisation)


def save_organisation(connection: Connection, organisation: Organisation) -> None:
    known = connection.execute(
        select(organisations).where(
            organisations.c.provider == organisation.provider, organisations.c.id == organisation.id
        )
    ).first()
    row = {
        "provider": organisation.provider,
        "id": organisation.id,
        "kind": organisation.kind.value,
        "name": organisation.name or (known.name if known else None),
        "association_ids": list(organisation.association_ids or (known.association_ids if known else ())),
    }
    upsert(connection, organisations, [row])


def read_organisation(row: Row[Any]) -> Organisation:
    return Organisation(
        id=row.id,
        kind=OrganisationKind(row.kind),
        provider=row.provider,
        name=row.name,
        association_ids=tuple(row.association_ids),
    )
