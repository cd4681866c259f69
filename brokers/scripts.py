"""The library of Redis functions in lua/: every move of a message is one call of one of them.

Functions rather than scripts: a script defines its Lua functions anew on each call, which cost
more than the moves themselves. A library is loaded once, is replicated and survives a restart.
Its name carries its version, so that old and new processes can run side by side.
Layout and the life of a message are described in lua/layout.lua.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

_FOLDER = Path(__file__).with_name("lua")
_SHARED = ("layout", "counts", "waiting", "sharing", "settle", "fetch", "define")
_CALLS = (
    "enqueue",
    "work",
    "register",
    "recover",
    "return",
    "purge",
    "delete",
    "withdraw",
    "bury",
    "release",
    "look",
)


def _compose() -> tuple[str, str]:
    shared = "".join((_FOLDER / f"{name}.lua").read_text() for name in _SHARED)
    # Each file's locals are its own: Lua allows 200 a block.
    calls = "".join(f"do\n{(_FOLDER / f'{name}.lua').read_text()}end\n" for name in _CALLS)
    version = hashlib.sha256((shared + calls).encode()).hexdigest()[:12]
    return version, f"#!lua name=clubsync_{version}\nlocal version = '{version}'\n{shared}{calls}"


VERSION, LIBRARY = _compose()


class Script:
    """One function of the library, by the name that Redis knows."""

    def __init__(self, name: str) -> None:
        self.name = f"clubsync_{VERSION}_{name}"


ENQUEUE = Script("enqueue")
SEND_AGAIN = Script("send_again")
WORK = Script("work")
REGISTER = Script("register")
RECOVER = Script("recover")
RETURN = Script("give_back")
PURGE = Script("purge")
DELETE = Script("delete")
WITHDRAW = Script("withdraw")
BURY = Script("bury")
RELEASE = Script("release")
COUNT = Script("count")
FIND = Script("find")
