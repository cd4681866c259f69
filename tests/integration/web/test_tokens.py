from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from stores.sql.tokens import Role, Tokens
from sync.errors import InvalidRequest, NotFound


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2031, 10, 18, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(engine: Engine, clock: Clock) -> Tokens:
    return Tokens(engine, now=clock)


def test_a_token_is_found_by_its_secret_alone(tokens: Tokens) -> None:
    token, secret = tokens.issue("ci", Role.SEND)
    assert tokens.find(secret) == token
    wrong = [secret[:-1], secret + "x", secret.replace(token.id, "0" * 12), "", "_", "cs__", token.id]
    assert [tokens.find(one) for one in wrong] == [None] * len(wrong)


def test_the_secret_is_nowhere_in_the_database(tokens: Tokens, engine: Engine) -> None:
    _, secret = tokens.issue("ci", Role.SEND)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM tokens")).all()
    assert secret.rpartition("_")[2] not in str(rows)


def test_a_token_ends_when_it_is_revoked_or_expires(tokens: Tokens, clock: Clock) -> None:
    _, revoked = tokens.issue("a", Role.READ)
    _, expiring = tokens.issue("b", Role.READ, lifetime=timedelta(hours=1))
    tokens.revoke("a")
    assert tokens.find(revoked) is None
    assert tokens.find(expiring) is not None
    clock.now += timedelta(hours=1)
    assert tokens.find(expiring) is None
    assert tokens.is_empty()


def test_a_name_is_taken_only_while_its_token_is_valid(tokens: Tokens) -> None:
    tokens.issue("ci", Role.READ)
    with pytest.raises(InvalidRequest, match="ci"):
        tokens.issue("ci", Role.ADMIN)
    tokens.revoke("ci")
    tokens.issue("ci", Role.ADMIN)
    assert [token.name for token in tokens.list()] == ["ci", "ci"]


def test_an_unknown_token_cannot_be_revoked(tokens: Tokens) -> None:
    with pytest.raises(NotFound, match="nobody"):
        tokens.revoke("nobody")


def test_a_session_lives_no_longer_than_its_token(tokens: Tokens, clock: Clock) -> None:
    token, _ = tokens.issue("ann", Role.OPERATE, lifetime=timedelta(hours=2))
    session = tokens.open_session(token, lifetime=timedelta(hours=12))
    found = tokens.find(session)
    assert found is not None
    assert (found.name, found.role) == ("ann", Role.OPERATE)
    clock.now += timedelta(hours=2)
    assert tokens.find(session) is None


def test_closing_a_session_leaves_the_token_and_other_sessions(tokens: Tokens) -> None:
    token, secret = tokens.issue("ann", Role.READ)
    one, other = (tokens.open_session(token, lifetime=timedelta(hours=1)) for _ in range(2))
    tokens.close_session(one)
    tokens.close_session(secret)
    assert (tokens.find(one), tokens.find(other) is None, tokens.find(secret)) == (None, False, token)
    assert tokens.list() == [token]
