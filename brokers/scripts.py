"""The Lua scripts in lua/, each with what it shares with the others in front.

Layout and the life of a message are described in lua/layout.lua.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).with_name("lua")


@dataclass(frozen=True)
class Script:
    """A script's text and the SHA-1 by which Redis knows it."""

    text: bytes
    sha: bytes


def _compose(*parts: str, works_when_full: bool) -> Script:
    # What frees memory, or moves a message that Redis holds already, must work at maxmemory.
    flags = "#!lua flags=allow-oom\n" if works_when_full else "#!lua\n"
    text = flags + "".join((_FOLDER / f"{part}.lua").read_text() for part in ("layout", *parts))
    encoded = text.encode()
    return Script(encoded, hashlib.sha1(encoded, usedforsecurity=False).hexdigest().encode())


ENQUEUE = _compose("enqueue", works_when_full=False)
# A leased message that is sent again takes no new room, and must not be lost for lack of it.
SEND_AGAIN = _compose("enqueue", works_when_full=True)
WORK = _compose("settle", "work", works_when_full=True)
RECOVER = _compose("settle", "recover", works_when_full=True)
RETURN = _compose("settle", "return", works_when_full=True)
PURGE = _compose("purge", works_when_full=True)
DELETE = _compose("delete", works_when_full=True)
BURY = _compose("bury", works_when_full=False)
