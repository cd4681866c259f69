"""What goes wrong with a settings file while processes follow it, and what each must be told.

Each case spoils a good TOML file and names what the refusal must contain.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

GOOD = '[logging]\nlevel = "warning"\n'


@dataclass(frozen=True, slots=True)
class BadFile:
    name: str
    spoil: Callable[[Path], object]
    told: tuple[str, ...]


def _text(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def _bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _replace(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def spoil(path: Path) -> None:
        path.unlink()
        make(path)

    return spoil


def _link_elsewhere(path: Path) -> None:
    """As a ConfigMap is swapped: the name stays, the file behind it is another one."""
    other = path.with_name("other.toml")
    other.write_text('[logging]\nlevel = "loud"\n')
    swap = path.with_name("swap")
    swap.symlink_to(other)
    swap.replace(path)


def _forbid(path: Path) -> None:
    path.write_text("level = 3")
    path.chmod(0)


BAD_FILES = (
    BadFile("syntax error", _text("[logging\nlevel = 3"), ("is not valid TOML", "line 1")),
    BadFile("half-written", _text('[logging]\nlevel = "war'), ("is not valid TOML", "Unterminated string")),
    BadFile("wrong type", _text("[http]\nattempts = 'many'"), ("http.attempts = 'many'", "valid integer")),
    BadFile(
        "unknown key", _text("[logging]\nlevle = 'info'"), ("logging.levle", "did you mean logging.level?")
    ),
    BadFile("unknown section", _text("[login]\nname = 'x'"), ("login.name", "unknown setting")),
    BadFile(
        "key twice",
        _text(f"{GOOD}level = 'info'"),
        ("is not valid TOML", "logging.level is there twice, in lines 2 and 3"),
    ),
    BadFile(
        "key twice in other letters",
        _text(f"{GOOD}Level = 'info'"),
        ("logging.level is there twice, as level and Level",),
    ),
    BadFile(
        "settings that contradict each other",
        _text("[http]\nretry_base_s = 9\nretry_cap_s = 1"),
        ("http.retry_base_s = 9.0", "at most http.retry_cap_s (1.0)"),
    ),
    BadFile(
        "what another setting requires",
        _text("[cms]\nkind = 'strapi'"),
        ("cms.strapi.token", "is required when cms.kind is strapi"),
    ),
    BadFile("negative", _text("[http]\nread_timeout_s = -1"), ("http.read_timeout_s = -1", "greater than 0")),
    BadFile("no number", _text("[http]\nread_timeout_s = nan"), ("http.read_timeout_s = nan", "finite")),
    BadFile(
        "unit in the value",
        _text("[http]\nread_timeout_s = '20s'"),
        ("http.read_timeout_s = '20s'", "seconds, without a unit"),
    ),
    BadFile(
        "bad cron",
        _text("[scheduler.entries.nightly]\ncron = '61 1 * * *'"),
        ("scheduler.entries.nightly.cron = '61 1 * * *'", "minute values from 0 to 59"),
    ),
    BadFile(
        "unknown preset",
        _text("[scheduler.entries.nightly]\npreset = 'fast'"),
        ("scheduler.entries.nightly.preset = 'fast'", "should be one of full, quick"),
    ),
    BadFile(
        "unknown stage",
        _text("[presets.quick]\nladders = false"),
        ("presets.quick.ladders", "unknown setting"),
    ),
    BadFile("secret in the wrong place", _text("[web]\napi_key = 'hunter2'"), ("web.api_key = ********",)),
    BadFile(
        "table for a value", _text("[logging.level]\nname = 'info'"), ("logging.level", "'debug', 'info'")
    ),
    BadFile(
        "value for a table", _text("logging = 'info'"), ("logging = 'info'", "table with settings of its own")
    ),
    BadFile("deep", _text(f"[{'.'.join('a' * 3000)}]\nx = 1"), ("is not valid TOML", "nested more than")),
    BadFile("no end of slots", _text("[worker]\ngreenlets = 100000000"), ("less than or equal to 1000",)),
    BadFile("empty", _text(""), ("is empty",)),
    BadFile("binary", _bytes(b"\x7fELF\x80\x00\xff" * 9), ("is no text in UTF-8", "byte 4")),
    BadFile("another encoding", _bytes(GOOD.encode("utf-16")), ("is no text in UTF-8",)),
    BadFile("huge", lambda path: os.truncate(path, 1 << 31), ("2147483648 bytes", "at most 1048576")),
    BadFile("removed", Path.unlink, ("cannot be read: No such file",)),
    BadFile("directory", _replace(Path.mkdir), ("should be a file",)),
    BadFile("pipe", _replace(os.mkfifo), ("should be a file",)),
    BadFile("link to itself", _replace(lambda path: path.symlink_to(path)), ("cannot be read",)),
    BadFile("link to nothing", _replace(lambda path: path.symlink_to("nothing")), ("cannot be read",)),
    BadFile("link swapped", _link_elsewhere, ("logging.level = 'loud'",)),
    # Root may read everything, so there it stays readable, and what it says is wrong instead.
    BadFile(
        "permission denied",
        _forbid,
        ("level = 3",) if os.geteuid() == 0 else ("cannot be read: Permission denied",),
    ),
)


def mend(path: Path, text: str) -> None:
    """Put a good file in the place of whatever is there."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    fresh = path.with_name("fresh")
    fresh.write_text(text)
    fresh.replace(path)
