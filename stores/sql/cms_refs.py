"""What must be remembered of a CMS that cannot: lasting references, and who creates which row.

Strapi 5 renumbers rows with drafts, and no Strapi keeps two writers from creating one row
twice.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, select

from stores.sql.engine import reading, writing
from stores.sql.tables import cms_refs
from stores.sql.upserts import conflicting_insert, upsert

_CLAIMED_FOR = timedelta(minutes=1)


class CmsRefs:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, collection: str, key: str) -> str | None:
        query = select(cms_refs.c.ref).where(cms_refs.c.collection == collection, cms_refs.c.key == key)
        with reading(self._engine) as connection:
            ref: str | None = connection.scalar(query)
        return ref

    def save(self, collection: str, key: str, ref: str) -> None:
        """Remember the reference; a later one overwrites it."""
        with writing(self._engine) as connection:
            upsert(connection, cms_refs, [{"collection": collection, "key": key, "ref": ref}])

    def claim(self, collection: str, keys: Collection[str], *, now: datetime) -> Collection[str]:
        """Those of the keys that the caller may create; others are being created by somebody else.

        A claim lapses after a minute, in case its owner died.
        """
        statement = conflicting_insert(self._engine.dialect.name, cms_refs)
        statement = statement.on_conflict_do_update(
            index_elements=[cms_refs.c.collection, cms_refs.c.key],
            set_={"ref": statement.excluded.ref},
            where=cms_refs.c.ref < _stamp(now - _CLAIMED_FOR),
        ).returning(cms_refs.c.key)
        place = f"claim:{collection}"
        won: set[str] = set()
        with writing(self._engine) as connection:
            for key in sorted(set(keys)):
                row = {"collection": place, "key": key, "ref": _stamp(now)}
                won.update(connection.scalars(statement.values(row)))
        return won


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
