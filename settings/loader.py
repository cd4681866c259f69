"""Settings from all their layers: validated together, every mistake in one report.

Layers, each over the one before: defaults, deployment preset, environment, file,
environment variables, live overrides.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from settings import layers, plugins, problems, rules, schema_tree
from settings.layers import Layer
from settings.problems import Problem
from settings.schema import Deployment, Environment, Settings
from settings.schema_tree import Tree
from sync.errors import ConfigurationError

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Validated settings; `origins` says for each dotted key which file or variable gave it."""

    settings: Settings
    origins: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that differ when any value of `version_values` differs."""
        return fingerprint_of(version_values(self.settings))


class InvalidSettings(ConfigurationError):
    """Carries the mistakes one by one for programs; its text has one a line."""

    def __init__(self, found: list[Problem]) -> None:
        super().__init__("\n".join(map(str, found)))
        self.problems = tuple(found)


def load(environ: Mapping[str, str] | None = None, *, overrides: Mapping[str, Any] | None = None) -> Loaded:
    """Read all layers anew. `overrides` maps dotted keys to live values.

    Raises InvalidSettings (a ConfigurationError) that lists every mistake of every layer.
    """
    environ = os.environ if environ is None else environ
    found: list[Problem] = []
    given: list[Layer] = []
    if path := environ.get(layers.CONFIG_VARIABLE):
        try:
            given.append(layers.read_file(Path(path), path))
        except layers.UnreadableFile as error:
            found.append(error.problem)
    given.append(layers.read_variables(environ))
    given.append(layers.read_overrides(overrides or {}))
    given = [_keep_valid(layer, found) for layer in given]

    environment = _chosen(given, "environment", Environment.DEVELOPMENT)
    fallback = Deployment.PRODUCTION if environment is Environment.PRODUCTION else Deployment.DEVELOPMENT
    deployment = _chosen(given, "deployment", fallback)
    tree, origins = layers.merge(
        [
            layers.read_defaults(),
            Layer("a plugin's preset", {"presets": plugins.presets()}, {}),
            layers.read_builtin("presets", deployment),
            layers.read_builtin("environments", environment),
            *given,
        ]
    )
    settings = Settings.model_validate({**tree, "environment": environment, "deployment": deployment})
    refused = tuple(found)
    for key, cause, advice in rules.broken(settings):
        place = _place(origins, key, cause)
        if not any(_same_section(key, problem.key) for problem in refused):
            found.append(Problem(place, key, problems.show(key, value_at(settings, key)), advice))
    if found:
        raise InvalidSettings(found)
    return Loaded(settings, origins)


def masked(settings: Settings) -> dict[str, Any]:
    """The settings as plain JSON values, no secret among them."""
    dumped: dict[str, Any] = settings.model_dump(mode="json")
    return {name: _masked_tree(name, value) for name, value in dumped.items()}


def version_values(settings: Settings) -> dict[str, Any]:
    """All values that make a version, by dotted key: no secret, nothing of single processes."""
    values = schema_tree.leaves(masked(settings))
    return {key: value for key, value in values if not schema_tree.is_local(key)}


def fingerprint_of(values: Mapping[str, Any]) -> str:
    """Of the values of a version."""
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def value_at(settings: Settings, key: str) -> Any:
    """The value of a dotted key."""
    value: Any = settings
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name)
    return value


def _keep_valid(layer: Layer, found: list[Problem]) -> Layer:
    """Validate a layer by itself, so that a mistake is reported even where a later layer hides it."""
    try:
        Settings.model_validate(layer.tree)
    except ValidationError as error:
        found += problems.from_validation(error, layer.names, layer.origin)
        return Layer(layer.origin, _without(layer.tree, problems.refused_keys(error)), layer.names)
    return layer


def _place(origins: Mapping[str, str], key: str, cause: str) -> str:
    """The first place an operator chose: of the key, of what made it wrong, of its neighbours."""
    section = f"{key.rpartition('.')[0]}."
    neighbours = [near for near in origins if near.startswith(section)]
    chosen = (origins.get(near, layers.DEFAULTS) for near in (key, cause, *neighbours))
    return next((place for place in chosen if place != layers.DEFAULTS), layers.DEFAULTS)


def _same_section(key: str, other: str) -> bool:
    # A value that was refused is missing from its section, which then breaks rules in turn.
    return key.rpartition(".")[0] == other.rpartition(".")[0]


def _without(tree: Tree, keys: set[str], prefix: str = "") -> Tree:
    return {
        name: _without(value, keys, f"{prefix}{name}.") if isinstance(value, Mapping) else value
        for name, value in tree.items()
        if f"{prefix}{name}" not in keys
    }


def _chosen(given: list[Layer], key: str, fallback: Choice) -> Choice:
    for layer in reversed(given):
        if key in layer.tree:
            return type(fallback)(layer.tree[key])
    return fallback


def _masked_tree(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _masked_tree(f"{name}.{key}", item) for key, item in value.items()}
    return problems.mask(value)
