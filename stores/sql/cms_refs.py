"""References into a CMS that its own numbers do not keep: Strapi 5 renumbers rows with drafts."""

from __future__ import annotations

from sqlalchemy import Engine, select

from stores.sql.engine import reading, writing
from stores.sql.tables import cms_refs
from stores.sql.upserts import upsert


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
