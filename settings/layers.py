"""Where values come from: each layer read on its own, as a tree of lower-case keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dynaconf import Dynaconf
from dynaconf.loaders import json_loader, toml_loader, yaml_loader
from dynaconf.utils.parse_conf import DynaconfFormatError, DynaconfParseError
from dynaconf.vendor.ruamel.yaml.error import YAMLError

from settings.problems import Problem
from settings.schema_tree import Tree, container_at, is_mapping, leaves

HERE = Path(__file__).parent
DEFAULTS = "defaults.toml"
PREFIX = "CLUBSYNC_"
CONFIG_VARIABLE = "CLUBSYNC_CONFIG"

# Variables with names of their own; the later one of two for the same key wins.
PLATFORM_VARIABLES: Mapping[str, str] = {
    "REDIS_URL": "redis.url",
    "DATABASE_URL": "database.url",
    "PORT": "web.port",
    "CLUBSYNC_ENV": "environment",
    "CLUBSYNC_HOME": "home",
}

LOADERS = {
    ".toml": toml_loader,
    ".yaml": yaml_loader,
    ".yml": yaml_loader,
    ".json": json_loader,
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of values; `names` says how a key is written there when not as itself."""

    origin: str
    tree: Tree
    names: Mapping[str, str]

    def place(self, key: str) -> str:
        """Where an operator finds the key: the file, or the variable's name."""
        return self.names.get(key, self.origin)


class UnreadableFile(Exception):
    """A file could not be read as settings at all."""

    def __init__(self, origin: str, advice: str) -> None:
        self.problem = Problem(origin, "", None, advice)
        super().__init__(str(self.problem))


def read_file(path: Path, origin: str) -> Layer:
    """Read TOML, YAML or JSON, told apart by the file's ending. Raises UnreadableFile."""
    loader = LOADERS.get(path.suffix.lower())
    if loader is None:
        raise UnreadableFile(origin, "should end in .toml, .yaml, .yml or .json")
    try:
        path.read_bytes().decode()  # dynaconf passes over a missing file in silence
        target = _dynaconf()
        loader.load(target, filename=str(path), silent=False)
        return Layer(origin, _tree(target), {})
    except OSError as error:
        raise UnreadableFile(origin, f"cannot be read: {error.strerror}") from error
    except (ValueError, AttributeError, YAMLError, DynaconfParseError, DynaconfFormatError) as error:
        reason = " ".join(str(error).replace(f'in "{path}", ', "").split())
        raise UnreadableFile(origin, f"is not valid {path.suffix[1:].upper()}: {reason}") from error


@cache
def read_defaults() -> Layer:
    return read_file(HERE / DEFAULTS, DEFAULTS)


@cache
def read_builtin(folder: str, name: str) -> Layer:
    """A deployment preset or an environment that ships with the program."""
    return read_file(HERE / folder / f"{name}.toml", f"{folder.removesuffix('s')} {name}")


def read_variables(environ: Mapping[str, str]) -> Layer:
    """Every `CLUBSYNC_...` variable and those that platforms set; an empty one counts as unset."""
    keys = dict(PLATFORM_VARIABLES)
    for name in sorted(environ):
        if name.startswith(PREFIX) and name != CONFIG_VARIABLE and name not in PLATFORM_VARIABLES:
            keys[name] = name.removeprefix(PREFIX).lower().replace("__", ".")
    target = _dynaconf()
    names: dict[str, str] = {}
    for name, key in keys.items():
        if environ.get(name):
            # Only lists and tables are parsed: a key such as 0123 must stay the text it is.
            target.set(key, environ[name], tomlfy=container_at(key), loader_identifier=name)
            names[key] = name
    return Layer("environment variables", _tree(target), names)


def read_overrides(overrides: Mapping[str, Any]) -> Layer:
    """Live overrides, dotted keys to values."""
    target = _dynaconf()
    for key, value in overrides.items():
        is_text = isinstance(value, str)  # as in a variable, from a command line
        target.set(key, value, tomlfy=is_text and container_at(key), loader_identifier="config set")
    return Layer("config set", _tree(target), {})


def merge(layers: list[Layer]) -> tuple[Tree, dict[str, str]]:
    """Lay each layer over the one before; lists are replaced, not joined.

    Answers the merged tree and, for each dotted key, the place its value came from.
    """
    target = _dynaconf()
    origins: dict[str, str] = {}
    for layer in layers:
        for key, value in leaves(layer.tree):
            if value == {} and any(known.startswith(f"{key}.") for known in origins):
                continue  # an empty table must not unset what an earlier layer put into it
            target.set(key, value, tomlfy=False, loader_identifier=layer.origin)
            origins[key] = layer.place(key)
    return _tree(target), origins


def _dynaconf() -> Dynaconf:
    """An empty one that reads nothing by itself: no files, no variables, no .env."""
    return Dynaconf(loaders=False, core_loaders=[], settings_files=[], load_dotenv=False)


def _tree(target: Dynaconf) -> Tree:
    # dynaconf keeps the options it was made with among the values.
    return {name: value for name, value in _lowered(target.to_dict()).items() if name != "load_dotenv"}


def _lowered(value: Any, key: str = "") -> Any:
    if not isinstance(value, Mapping) or is_mapping(key):
        return value
    names = {str(name).lower(): item for name, item in value.items()}
    return {name: _lowered(item, f"{key}.{name}" if key else name) for name, item in names.items()}
