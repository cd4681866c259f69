"""Who may use the HTTP API and the dashboard: tokens with a role, stored hashed.

A token's secret is shown once, when it is made; `cs_<id>_<256 random bits>` is found by
its id and compared as a hash, in constant time. A dashboard session is a token too, with
a short life, that ends when the token behind it is revoked.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, and_, bindparam, insert, or_, select, update

from stores.sql.engine import reading, writing
from stores.sql.tables import tokens
from sync.errors import InvalidRequest, NotFound

_PREFIX = "cs"
# Compared with when an id is unknown, so that the answer takes as long as for a known one.
_NO_DIGEST = "0" * 64

# Built once: it is asked for each request.
_parents = tokens.alias("parents")
_BY_IDS = (
    select(
        tokens,
        _parents.c.revoked_at.label("parent_revoked_at"),
        _parents.c.expires_at.label("parent_expires_at"),
    )
    .outerjoin(_parents, _parents.c.id == tokens.c.parent_id)
    .where(tokens.c.id.in_(bindparam("ids", expanding=True)))
)


class Role(StrEnum):
    """Weakest first; each may do what the ones before it may."""

    READ = "read"
    SEND = "send"
    OPERATE = "operate"
    ADMIN = "admin"

    @property
    def level(self) -> int:
        return list(Role).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it may be shown; its secret is not kept."""

    id: str
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


def _now() -> datetime:
    return datetime.now(UTC)


class Tokens:
    """The tokens in SQL. All methods raise StoreUnavailable when it does not answer."""

    def __init__(self, engine: Engine, *, now: Callable[[], datetime] = _now) -> None:
        self._engine = engine
        self._now = now

    def issue(self, name: str, role: Role, *, lifetime: timedelta | None = None) -> tuple[Token, str]:
        """Make a token; answers it with its secret. Raises InvalidRequest when the name is taken."""
        with reading(self._engine) as connection:
            taken = connection.execute(
                select(tokens.c.id).where(
                    tokens.c.name == name, tokens.c.parent_id.is_(None), tokens.c.revoked_at.is_(None)
                )
            ).first()
        if taken:
            raise InvalidRequest(
                f"name: there is a token called {name!r} already; revoke it or choose another"
            )
        return self._insert(name, role, lifetime=lifetime, parent_id=None)

    def open_session(self, token: Token, *, lifetime: timedelta) -> str:
        """The secret of a session that may do what the token may, while the token is valid."""
        return self._insert(token.name, token.role, lifetime=lifetime, parent_id=token.id)[1]

    def find(self, secret: str) -> Token | None:
        """The token or session with this secret; None when it is unknown, expired or revoked."""
        return self.find_many([secret])[0]

    def find_many(self, secrets_: Sequence[str]) -> list[Token | None]:
        """As `find`, for each of them in order, in one question."""
        ids = [_id_of(secret) for secret in secrets_]
        with reading(self._engine) as connection:
            rows = {row.id: row for row in connection.execute(_BY_IDS, {"ids": ids})}
        return [self._valid(secret, rows.get(_id_of(secret))) for secret in secrets_]

    def _valid(self, secret: str, row: Any) -> Token | None:
        is_match = hmac.compare_digest(_digest(secret), row.digest if row else _NO_DIGEST)
        if row is None or not is_match or not secret.startswith(f"{_PREFIX}_"):
            return None
        ends = [at for at in (row.expires_at, row.parent_expires_at) if at is not None]
        if row.revoked_at or row.parent_revoked_at or (ends and min(ends) <= self._now()):
            return None
        return _token(row)

    def is_empty(self) -> bool:
        """Whether no valid token exists, which leaves only this machine to be served."""
        valid = and_(
            tokens.c.parent_id.is_(None),
            tokens.c.revoked_at.is_(None),
            or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > self._now()),
        )
        with reading(self._engine) as connection:
            return connection.execute(select(tokens.c.id).where(valid).limit(1)).first() is None

    def list(self) -> Sequence[Token]:
        """Every token that was made, revoked ones too, oldest first; no sessions."""
        query = select(tokens).where(tokens.c.parent_id.is_(None)).order_by(tokens.c.created_at, tokens.c.id)
        with reading(self._engine) as connection:
            return [_token(row) for row in connection.execute(query)]

    def revoke(self, name_or_id: str) -> Token:
        """End a valid token and its sessions at once. Raises NotFound."""
        query = select(tokens).where(
            or_(tokens.c.id == name_or_id, and_(tokens.c.name == name_or_id, tokens.c.parent_id.is_(None))),
            tokens.c.revoked_at.is_(None),
        )
        with writing(self._engine) as connection:
            row = connection.execute(query).first()
            if row is None:
                raise NotFound(f"there is no valid token called {name_or_id!r}")
            connection.execute(update(tokens).where(tokens.c.id == row.id).values(revoked_at=self._now()))
        return _token(row)

    def close_session(self, secret: str) -> None:
        """End one session; an unknown one is left alone."""
        if session := self.find(secret):
            with writing(self._engine) as connection:
                connection.execute(
                    update(tokens)
                    .where(tokens.c.id == session.id, tokens.c.parent_id.is_not(None))
                    .values(revoked_at=self._now())
                )

    def _insert(
        self, name: str, role: Role, *, lifetime: timedelta | None, parent_id: str | None
    ) -> tuple[Token, str]:
        now = self._now()
        token = Token(
            id=secrets.token_hex(6),
            name=name,
            role=role,
            created_at=now,
            expires_at=now + lifetime if lifetime else None,
        )
        secret = f"{_PREFIX}_{token.id}_{secrets.token_urlsafe(32)}"
        values = {
            "id": token.id,
            "name": name,
            "role": role.value,
            "digest": _digest(secret),
            "parent_id": parent_id,
            "created_at": now,
            "expires_at": token.expires_at,
        }
        with writing(self._engine) as connection:
            connection.execute(insert(tokens).values(values))
        return token, secret


def _id_of(secret: str) -> str:
    return secret.partition("_")[2].partition("_")[0]


def _digest(secret: str) -> str:
    # One round is enough: the secret is 256 random bits, not a password.
    return hashlib.sha256(secret.encode()).hexdigest()


def _token(row: Any) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
