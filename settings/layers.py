"""Where values come from: each layer read on its own, as a tree of lower-case keys."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dynaconf import Dynaconf

from settings.formats import parse_json, parser_of
from settings.problems import Problem
from settings.schema_tree import Tree, children, container_at, is_mapping, leaves

HERE = Path(__file__).parent
DEFAULTS = "defaults.toml"
PREFIX = "CLUBSYNC_"
CONFIG_VARIABLE = "CLUBSYNC_CONFIG"
# Where a live override comes from.
SET_LIVE = "config set"

# Variables with names of their own; `CLUBSYNC_<SECTION>__<KEY>` for the same key wins.
PLATFORM_VARIABLES: Mapping[str, str] = {
    "REDIS_URL": "redis.url",
    "DATABASE_URL": "database.url",
    "PORT": "web.port",
    "CLUBSYNC_ENV": "environment",
    "CLUBSYNC_HOME": "home",
}

# Settings are a few kilobytes; what is larger is something else, put there by mistake. The same
# holds for the values of a small file whose aliases stand for each other.
MOST_BYTES = 1024**2
MOST_VALUES = 10_000
# No setting stands below more than six tables.
MOST_DEPTH = 20

# dynaconf acts on texts such as "@read_file /etc/passwd" and "@jinja ...", and on names such as
# dynaconf_merge. Ours are plain values, some of them set over HTTP, so it must not see these.
MAGIC = ("@", "dynaconf_")
SHIELD = "\ue000"  # private use: stands in no setting


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
    parse = parser_of(path.suffix.lower())
    if parse is None:
        raise UnreadableFile(origin, "should end in .toml, .yaml, .yml or .json")
    text = _read_text(path, origin)
    try:
        content = parse(text)
        if not isinstance(content, Mapping | None):
            raise UnreadableFile(origin, "should hold sections with settings")
        _check_names(content or {})
        _check_depth(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(origin, f"is not valid {path.suffix[1:].upper()}: {error}") from error
    return Layer(origin, _lowered(content or {}), {})


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
    given = [(key, name, environ[name]) for name, key in keys.items() if environ.get(name)]
    target = Layered()
    for key, _, text in given:
        target.lay(key, _parsed(key, text))
    return Layer("environment variables", target.tree(), {key: name for key, name, _ in given})


def read_overrides(overrides: Mapping[str, Any]) -> Layer:
    """Live overrides, dotted keys to values or, from a command line, to text as in a variable."""
    target = Layered()
    for key, value in overrides.items():
        target.lay(key, _parsed(key, value) if isinstance(value, str) else value)
    return Layer(SET_LIVE, target.tree(), {})


def merge(layers: list[Layer]) -> tuple[Tree, dict[str, str]]:
    """Lay each layer over the one before; lists are replaced, not joined.

    Answers the merged tree and, for each dotted key, the place its value came from.
    """
    lowest, *others = layers
    target = Layered(lowest.tree)
    origins = {key: lowest.origin for key, _ in leaves(lowest.tree)}
    for layer in others:
        for key, value in leaves(layer.tree):
            if value == {} and any(known.startswith(f"{key}.") for known in origins):
                continue  # an empty table must not unset what an earlier layer put into it
            target.lay(key, value)
            origins[key] = layer.place(key)
    return target.tree(), origins


class Layered:
    """Values laid over each other by dotted key, in a dynaconf that reads nothing by itself."""

    def __init__(self, lowest: Tree = MappingProxyType({})) -> None:
        self._values = Dynaconf(loaders=False, core_loaders=[], settings_files=[], load_dotenv=False)
        self._values.set("root", _shielded(lowest))

    def lay(self, key: str, value: Any) -> None:
        shielded = ".".join(_shielded(part) for part in key.split("."))
        self._values.set(f"root.{shielded}", _shielded(value), tomlfy=False)

    def tree(self) -> Tree:
        return _lowered(_unshielded(self._values.to_dict()["ROOT"]))  # type: ignore[no-any-return]


def _read_text(path: Path, origin: str) -> str:
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise UnreadableFile(origin, "should be a file, not a directory, a pipe or a device")
        if state.st_size > MOST_BYTES:
            raise UnreadableFile(origin, f"has {state.st_size} bytes: should have at most {MOST_BYTES}")
        text = path.read_text(encoding="utf-8-sig")  # editors of some systems begin with a mark
    except OSError as error:
        raise UnreadableFile(origin, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableFile(origin, f"is no text in UTF-8, from byte {error.start} on") from error
    if not text.strip():
        # Far more often cut short by mistake than meant.
        raise UnreadableFile(origin, "is empty: should hold settings, or a comment if that is meant")
    return text


def _check_names(content: Mapping[Any, Any]) -> None:
    """Refuse what lower-casing would make one of two, and more values than anybody sets."""
    left = MOST_VALUES
    tables: list[tuple[str, Mapping[Any, Any]]] = [("", content)]
    while tables:
        place, table = tables.pop()
        left -= len(table)
        if left < 0:
            raise ValueError(f"should have at most {MOST_VALUES} values")
        if not is_mapping(place.rstrip(".")):
            _check_letters(place, [str(name) for name in table])
        for name, value in table.items():
            if isinstance(value, Mapping):
                tables.append((f"{place}{name}.".lower(), value))
            elif isinstance(value, list):
                left -= len(value)


def _check_letters(place: str, names: Sequence[str]) -> None:
    lowered = [name.lower() for name in names]
    for name in names:
        if lowered.count(name.lower()) > 1:
            spelled = [other for other in names if other.lower() == name.lower()]
            raise ValueError(f"{place}{name.lower()} is there twice, as {' and '.join(spelled)}")


def _parsed(key: str, text: str) -> Any:
    # Only lists and tables are parsed: a key such as 0123 must stay the text it is.
    if not (container_at(key) or children(key)):
        return text
    for parse in (_toml_value, parse_json):
        try:
            value = parse(text)
            _check_depth(value)
        except (ValueError, RecursionError):
            continue
        return value
    return text


def _check_depth(content: object) -> None:
    """Whatever goes through settings does so by recursion. Raises ValueError."""
    nested = [content]
    for _ in range(MOST_DEPTH):
        # Aliases may stand for more than could ever be counted.
        nested = list(islice(chain.from_iterable(map(_items_of, nested)), MOST_VALUES + 1))
        if len(nested) > MOST_VALUES:
            raise ValueError(f"should have at most {MOST_VALUES} values")
        if not nested:
            return
    raise ValueError(f"its tables are nested more than {MOST_DEPTH} deep")


def _items_of(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _toml_value(text: str) -> Any:
    return tomllib.loads(f"value = {text}")["value"]


def _lowered(value: Any, key: str = "") -> Any:
    if not isinstance(value, Mapping) or is_mapping(key):
        return value
    names = {str(name).lower(): item for name, item in value.items()}
    return {name: _lowered(item, f"{key}.{name}" if key else name) for name, item in names.items()}


def _shielded(value: Any) -> Any:
    return _each_text(value, lambda text: SHIELD + text if text.strip().lower().startswith(MAGIC) else text)


def _unshielded(value: Any) -> Any:
    return _each_text(value, lambda text: text.removeprefix(SHIELD))


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_each_text(name, change): _each_text(item, change) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_each_text(item, change) for item in value]
    return value
