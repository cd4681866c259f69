"""Addresses that work and addresses that do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from stores.sql.engine import open_engine, ping
from sync.errors import ConfigurationError, StoreUnavailable


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_platforms_postgres_addresses_use_psycopg_3(scheme: str) -> None:
    engine = open_engine(f"{scheme}://user:hunter2@db.example/club", busy_timeout_s=1)

    assert engine.url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "not an address"),
        ("mysql://user:hunter2@db/club", "mysql is not supported"),
        ("postgresql+psycopg2://user:hunter2@db/club", "psycopg2 is not supported"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_address_that_cannot_work_is_refused_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        open_engine(url, busy_timeout_s=1)

    assert "hunter2" not in str(caught.value)


def test_folder_of_a_sqlite_file_is_made(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/new/folder/club.db", busy_timeout_s=1)
    ping(engine)
    engine.dispose()

    assert (tmp_path / "new/folder/club.db").exists()


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match=f"folder of {tmp_path}/file/club.db"):
        open_engine(f"sqlite:///{tmp_path}/file/club.db", busy_timeout_s=1)


def test_sqlite_file_that_is_none_says_so(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}", busy_timeout_s=1)

    with pytest.raises(StoreUnavailable, match="SQLite file"):
        ping(engine)


def test_unreachable_postgres_is_named_without_its_password() -> None:
    engine = open_engine("postgresql://user:hunter2@127.0.0.1:1/club", busy_timeout_s=1)

    with pytest.raises(StoreUnavailable, match=r"Postgres at 127\.0\.0\.1:1/club did not answer") as caught:
        ping(engine)
    assert "hunter2" not in str(caught.value)
