"""The schema as dotted keys: which exist, which hold secrets, lists or tables, and which is meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from settings.schema import Settings

Tree = Mapping[str, Any]

# Given by the platform to single processes, or by `clubsync up` to those it starts.
LOCAL_KEYS = frozenset({"home", "redis.url", "database.url", "web.host", "web.port"})
ANY_NAME = "*"  # stands for the names an operator chooses: presets, schedule entries


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A setting; `path` has `*` where a chosen name stands.

    A mapping is one setting whose entries may be set one by one; their names keep their case.
    """

    path: tuple[str, ...]
    is_secret: bool
    is_container: bool
    is_mapping: bool = False

    @property
    def dotted(self) -> str:
        return ".".join(self.path)


def find(key: str) -> KnownKey | None:
    """The setting that a dotted key names, or None."""
    parts = tuple(key.split("."))
    for known in known_keys():
        inside = parts[: len(known.path)] if known.is_mapping else parts
        if _matches(known.path, inside) and len(parts) - len(inside) <= 1:
            return known
    return None


def is_secret(key: str) -> bool:
    known = find(key)
    return known.is_secret if known else False


def is_local(key: str) -> bool:
    """Whether the key differs by nature between the processes of one installation."""
    return key in LOCAL_KEYS


def container_at(key: str) -> bool:
    """Whether the key holds a list or a mapping, so that a variable's text must be parsed."""
    known = find(key)
    return known is not None and known.is_container and known.dotted.count(".") == key.count(".")


def is_mapping(key: str) -> bool:
    known = find(key)
    return known.is_mapping if known else False


def nearest(key: str) -> str | None:
    """The known key that a misspelt one most likely means."""
    names = {_spelling(known.dotted): known.dotted for known in known_keys()}
    parts = key.split(".")
    for name, dotted in list(names.items()):
        if ANY_NAME in dotted and len(dotted.split(".")) == len(parts):
            # The chosen name is right by definition: keep the operator's.
            own = [
                mine if theirs == ANY_NAME else theirs
                for mine, theirs in zip(parts, dotted.split("."), strict=True)
            ]
            names[_spelling(".".join(own))] = ".".join(own)
            del names[name]
    close = difflib.get_close_matches(_spelling(key), names, n=1, cutoff=0.7)
    if close:
        return names[close[0]]
    # A right name in the wrong section.
    last = {known.path[-1]: known.dotted for known in reversed(known_keys())}
    close = difflib.get_close_matches(parts[-1], last, n=1, cutoff=0.85)
    return last[close[0]] if close else None


def children(key: str) -> list[str]:
    """The names directly below a dotted key ('' for the top)."""
    parts = tuple(part for part in key.split(".") if part)
    below = {
        known.path[len(parts)]: None
        for known in known_keys()
        if len(known.path) > len(parts) and _matches(known.path[: len(parts)], parts)
    }
    return list(below)


@cache
def known_keys() -> tuple[KnownKey, ...]:
    return tuple(_walk(Settings, ()))


def leaves(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values, in the tree's order; an empty table is a leaf."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{key}.")
        else:
            yield key, value


def _walk(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[KnownKey]:
    for name, field in model.model_fields.items():
        kinds = list(_kinds(field.annotation))
        section = next((kind for kind in kinds if _is_section(kind)), None)
        table = next((kind for kind in kinds if get_origin(kind) is dict), None)
        if section is not None:
            yield from _walk(section, (*path, name))
        elif table is not None and _is_section(get_args(table)[1]):
            yield from _walk(get_args(table)[1], (*path, name, ANY_NAME))
        elif table is not None:
            yield KnownKey((*path, name), is_secret=False, is_container=True, is_mapping=True)
        else:
            inner = [part for kind in kinds for part in (kind, *map(_plain, get_args(kind)))]
            yield KnownKey(
                path=(*path, name),
                is_secret=SecretStr in inner,
                is_container=any(get_origin(kind) is tuple for kind in kinds),
            )


def _kinds(annotation: Any) -> Iterator[Any]:
    annotation = _plain(annotation)
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _kinds(part)
    else:
        yield annotation


def _plain(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _matches(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return len(pattern) == len(parts) and all(
        theirs in (ANY_NAME, mine) for theirs, mine in zip(pattern, parts, strict=True)
    )


def _spelling(key: str) -> str:
    return key.replace("_", "").replace(".", "").replace("-", "")
