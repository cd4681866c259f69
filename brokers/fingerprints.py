"""What two failures have in common: their error without what differs from one message to the next."""

from __future__ import annotations

import hashlib
import re

LONGEST = 200
# Ids, numbers, times and addresses hold a digit, or are eight letters of hexadecimal by chance; such a
# word says which, not what.
_PARTICULAR = re.compile(r"\d|\b[0-9a-f]{8,}\b")
# An HTTP status says what.
_STATUS = re.compile(r"\W*[45]\d\d\W*")


def fingerprint(error: str) -> str:
    """The error's first line, with `…` for each word that names a particular thing."""
    line, _, _ = error.strip().partition("\n")
    return " ".join("…" if _is_particular(word) else word for word in line.split())[:LONGEST] or "unknown"


def group_id(error: str) -> str:
    """A short name for a fingerprint, for addresses and commands."""
    return hashlib.sha256(error.encode()).hexdigest()[:12]


def _is_particular(word: str) -> bool:
    return _PARTICULAR.search(word) is not None and _STATUS.fullmatch(word) is None
