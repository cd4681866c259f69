"""The collections of the simulator's face as content types of a real Strapi: one list for both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from simulator.strapi.schema import Collection, Relation, collections

_FACTORIES = {
    "routes": "createCoreRouter",
    "controllers": "createCoreController",
    "services": "createCoreService",
}


def write_content_types(app: Path, *, has_drafts: bool) -> None:
    """Write one API a collection into the application, as Strapi's own generator would."""
    schema = collections()
    for collection in schema.values():
        name = _singular(collection.name)
        folder = app / "src" / "api" / name
        content_type = folder / "content-types" / name
        content_type.mkdir(parents=True)
        described = {
            "kind": "collectionType",
            "collectionName": collection.name.replace("-", "_"),
            "info": {
                "singularName": name,
                "pluralName": collection.name,
                "displayName": collection.name,
            },
            "options": {"draftAndPublish": has_drafts},
            "attributes": {
                **{column: {"type": kind.value} for column, kind in collection.fields.items()},
                **{
                    column: _relation(collection, relation, schema[relation.target])
                    for column, relation in collection.relations.items()
                },
            },
        }
        (content_type / "schema.json").write_text(json.dumps(described, indent=2))
        for part, factory in _FACTORIES.items():
            (folder / part).mkdir()
            (folder / part / f"{name}.js").write_text(
                f"module.exports = require('@strapi/strapi').factories.{factory}('{_uid(collection)}');\n"
            )


def _relation(collection: Collection, relation: Relation, target: Collection) -> dict[str, Any]:
    other = next(
        (
            (name, end)
            for name, end in target.relations.items()
            if end.edge == relation.edge and end.is_left is not relation.is_left
        ),
        None,
    )
    described = {"type": "relation", "target": _uid(target)}
    if other is None:
        # One way: `oneToOne` and `oneToMany` without another end, as Strapi's generator spells them.
        return {**described, "relation": "oneToMany" if relation.is_many else "oneToOne"}
    other_name, other_end = other
    ends = f"{'many' if other_end.is_many else 'one'}To{'Many' if relation.is_many else 'One'}"
    return {**described, "relation": ends, "inversedBy" if relation.is_left else "mappedBy": other_name}


def _uid(collection: Collection) -> str:
    name = _singular(collection.name)
    return f"api::{name}.{name}"


def _singular(name: str) -> str:
    return name.removesuffix("s")
