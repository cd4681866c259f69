"""How large the listings of each organisation usually are, as its last runs read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Engine, select

from stores.sql.engine import reading, writing
from stores.sql.tables import usual_sizes
from stores.sql.upserts import upsert


class Sizes:
    """Satisfies `sync.ports.Sizes`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, key: str) -> Mapping[str, Sequence[int]]:
        query = select(usual_sizes.c.sizes).where(usual_sizes.c.key == key)
        with reading(self._engine) as connection:
            found: Mapping[str, Sequence[int]] | None = connection.scalar(query)
        return found or {}

    def save(self, key: str, sizes: Mapping[str, Sequence[int]]) -> None:
        with writing(self._engine) as connection:
            upsert(connection, usual_sizes, [{"key": key, "sizes": dict(sizes)}])
