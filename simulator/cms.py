"""The two CMS faces, made and filled when first asked for."""

from __future__ import annotations

from typing import Any

from simulator.server import Answer, Request
from simulator.strapi.face import Strapi
from simulator.strapi.seeding import seed
from simulator.world.world import World

PREFIXES = {"/strapi-v4/": 4, "/strapi-v5/": 5}


def version_of(path: str) -> int | None:
    """4 or 5 for an address of a CMS face."""
    return PREFIXES.get(path[:11])


class Cms:
    """Each version has tables of its own; `configure` starts one anew."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._faces: dict[int, Strapi] = {}

    def answer(self, version: int, request: Request) -> Answer:
        return self.face(version).answer(request)

    def face(self, version: int) -> Strapi:
        if version not in self._faces:
            self.configure(version)
        return self._faces[version]

    def configure(self, version: int, *, drafts: bool = False, lenient: bool = False) -> None:
        """Empty one version's tables and fill them with what a CMS holds before the first sync.

        `drafts` turns draft and publish on; `lenient` makes version 4 the older 4.12.
        Raises ValueError for a version that is not 4 or 5.
        """
        if version not in PREFIXES.values():
            raise ValueError(f"version is {version!r}; it has to be 4 or 5")
        self._faces[version] = Strapi(version, has_drafts=drafts, is_lenient=lenient)
        seed(self._faces[version].tables, self._world)

    def shape(self) -> dict[str, Any]:
        """Rows by collection, for each version that was used."""
        return {
            f"v{version}": {
                "drafts": face.has_drafts,
                "rows": {name: len(face.tables.entries(name)) for name in face.tables.schema},
            }
            for version, face in sorted(self._faces.items())
        }
