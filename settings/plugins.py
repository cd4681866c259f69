"""What other packages add by entry points, found and loaded apart from each other.

A group for each kind: `clubsync.providers`, `clubsync.cms`, `clubsync.channels`,
`clubsync.checks`, `clubsync.stages`, `clubsync.presets`. What is broken is told and left out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import TypeAdapter, ValidationError

from settings.layers import read_defaults
from settings.schema import RunPreset
from settings.schema_tree import Tree
from settings.section import EntryName

log = logging.getLogger(__name__)

PREFIX = "clubsync."
OK = "ok"


class Kind(StrEnum):
    PROVIDERS = "providers"
    CMS = "cms"
    CHANNELS = "channels"
    CHECKS = "checks"
    STAGES = "stages"
    PRESETS = "presets"

    @property
    def group(self) -> str:
        return f"{PREFIX}{self.value}"


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed entry point; `health` is "ok" or says what is broken."""

    kind: str
    name: str
    package: str
    version: str
    target: str
    health: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The plugins of a kind by name: those that can be imported, and why the others cannot."""

    working: Mapping[str, Any] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)


@cache
def load_kind(kind: Kind) -> Loaded:
    """Import every plugin of a kind, once a process; a broken one harms no other."""
    working: dict[str, Any] = {}
    broken: dict[str, str] = {}
    for point in entry_points(group=kind.group):
        try:
            working[point.name] = _import(kind, point)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module may raise anything, or end
            broken[point.name] = f"broken: {type(error).__name__}: {error}"
    return Loaded(working, broken)


def tell_broken(kinds: Iterable[Kind]) -> None:
    """Log what this process has to do without, of the kinds that it uses."""
    for kind in kinds:
        for name, reason in load_kind(kind).broken.items():
            log.error("plugin_broken", extra={"kind": kind.value, "plugin": name, "reason": reason})


def installed() -> list[Plugin]:
    """Every plugin with its package, version and health; all are imported for it."""
    return [
        Plugin(
            kind=kind.value,
            name=point.name,
            package=point.dist.name if point.dist else "?",
            version=point.dist.version if point.dist else "?",
            target=point.value,
            health=load_kind(kind).broken.get(point.name, OK),
        )
        for kind in Kind
        for point in entry_points(group=kind.group)
    ]


@cache
def presets() -> Tree:
    """The run presets that packages add, by name, as the settings hold them."""
    return load_kind(Kind.PRESETS).working


def _import(kind: Kind, point: EntryPoint) -> Any:
    found = point.load()
    if kind is Kind.PRESETS:
        return _checked_preset(point.name, found)
    if not callable(found):
        raise TypeError(f"{point.value} is no function")
    return found


def _checked_preset(name: str, found: Any) -> dict[str, bool]:
    """The switches of a preset. Raises ValueError that names what is wrong with them."""
    if name in read_defaults().tree["presets"]:
        raise ValueError(f"{name} is a preset of clubsync itself: should have another name")
    try:
        TypeAdapter(EntryName).validate_python(name)
        RunPreset.model_validate(found)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from error
    return dict(found)
