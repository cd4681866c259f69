"""Identifiers of the invented world: UUIDs that tell where their record is found.

An association is generated when it is first asked for, so an id must say whose
it is: the last group holds the association's index and a serial number.
"""

from __future__ import annotations

from hashlib import blake2b

_ASSOCIATION = slice(24, 28)
_SERIAL = slice(28, 32)


def make_id(seed: int, *path: object, association: int, serial: int = 0) -> str:
    """A lower-case UUID, the same for the same seed and path.

    `association` and `serial` are below 65,536.
    """
    digest = blake2b("/".join(map(str, (seed, *path))).encode(), digest_size=11).hexdigest()
    return (
        f"{digest[:8]}-{digest[8:12]}-4{digest[12:15]}-a{digest[15:18]}-"
        f"{association:04x}{serial:04x}{digest[18:22]}"
    )


def association_index(record_id: str) -> int | None:
    """The index of the association that a record belongs to; None for a foreign id."""
    return _field(record_id, _ASSOCIATION)


def serial_number(record_id: str) -> int | None:
    return _field(record_id, _SERIAL)


def short_code(record_id: str) -> str:
    """The first eight hex digits, which end the record's page address."""
    return record_id[:8]


def _field(record_id: str, where: slice) -> int | None:
    if len(record_id) != 36:
        return None
    try:
        return int(record_id[where], 16)
    except ValueError:
        return None
