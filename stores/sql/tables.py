"""Every table, sized for 10,000 accounts, a million runs and ten million games.

Days are kept as ISO text, which sorts and compares as days do; times are UTC. Records
are keyed by the provider's ids. Parents are never deleted, so no foreign keys guard the
mirror: its writer checks them, and concurrent syncs take fewer locks.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Utc(TypeDecorator[datetime]):
    """An aware time in UTC; SQLite, which knows no zones, keeps it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        at = value.astimezone(UTC)
        return at.replace(tzinfo=None) if dialect.name == "sqlite" else at

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


# Ordered text and not jsonb: a ladder's columns keep the order of the provider.
Document = JSON(none_as_null=True)
# SQLite counts up only in a column that is exactly INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")
Day = String(10)


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


organisations = Table(
    "organisations",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    _required("kind", Text),
    Column("name", Text),
    _required("association_ids", Document),
    Index(None, "id"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Integer, primary_key=True),
    _required("kind", Text),
    _required("name", Text),
    _required("provider", Text),
    _required("organisation_id", Text),
    _required("is_setup", Boolean),
    _required("is_updating", Boolean),
    _required("created_at", Utc),
    Column("plan", Text),
    UniqueConstraint("kind", "provider", "organisation_id"),
    Index(None, "organisation_id"),
    sqlite_autoincrement=True,
)

account_tags = Table(
    "account_tags",
    metadata,
    Column("account_id", Integer, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", Text, primary_key=True),
    Index(None, "tag", "account_id"),
)

seasons = Table(
    "seasons",
    metadata,
    Column("id", Text, primary_key=True),
    _required("name", Text),
    _required("status", Text),
    Column("competition_id", Text),
    Column("competition_name", Text),
    _required("association_id", Text),
    Column("association_name", Text),
    Column("first_day", Day),
    Column("last_day", Day),
    # Whose the id is; what is below has the same provider. Empty where it was never noted.
    Column("provider", Text),
    Index(None, "association_id"),
)

grades = Table(
    "grades",
    metadata,
    Column("id", Text, primary_key=True),
    _required("name", Text),
    _required("season_id", Text),
    Column("url", Text),
    Column("first_day", Day),
    Column("last_day", Day),
    Index(None, "season_id"),
)

teams = Table(
    "teams",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    _required("season_id", Text),
    Column("club_id", Text),
    Column("club_name", Text),
    Column("grade_id", Text),
    Index(None, "season_id"),
    Index(None, "club_id"),
    Index(None, "grade_id"),
)

games = Table(
    "games",
    metadata,
    Column("id", Text, primary_key=True),
    _required("grade_id", Text),
    Column("round", Text),
    _required("status", Text),
    Column("type", Text),
    _required("home_id", Text),
    _required("away_id", Text),
    Column("first_day", Day),
    Column("last_day", Day),
    _required("days", Document),
    _required("outcomes", Document),
    _required("innings", Document),
    _required("points", Document),
    Column("url", Text),
    Column("removed_at", Utc),
    Column("removal_reason", Text),
    Index(None, "grade_id"),
    # A club's games are found by its teams: after a regrading they lie in several grades.
    Index(None, "home_id"),
    Index(None, "away_id"),
    # Who plays on these days: the scheduler asks before match days.
    Index(None, "first_day"),
)

ladders = Table(
    "ladders",
    metadata,
    Column("id", Text, primary_key=True),
    _required("grade_id", Text),
    Column("type", Text),
    Column("pool_id", Text),
    _required("rows", Document),
    Index(None, "grade_id"),
)

# One row for each day on which a complete listing lacked the game.
absences = Table(
    "absences",
    metadata,
    Column("game_id", Text, primary_key=True),
    Column("day", Day, primary_key=True),
    _required("grade_id", Text),
    # Seen in a listing that a guard doubted: counts only for a removal that a person approves.
    Column("is_doubtful", Boolean, nullable=False, server_default=false()),
)

# The last sizes of each listing that an organisation's runs read and nobody doubted.
usual_sizes = Table(
    "usual_sizes",
    metadata,
    Column("key", Text, primary_key=True),
    _required("sizes", Document),
)

fences = Table(
    "fences",
    metadata,
    Column("key", Text, primary_key=True),
    _required("token", BigInteger),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    _required("mode", Text),
    _required("preset", Text),
    _required("state", Text),
    Column("account_id", Integer),
    Column("organisation_id", Text),
    Column("provider", Text),
    Column("batch_id", Text),
    Column("of_run_id", Text),
    _required("dry_run", Boolean),
    _required("requested_at", Utc),
    Column("started_at", Utc),
    Column("finished_at", Utc),
    Column("config_version", Integer),
    _required("stages", Document),
    _required("requests", Document),
    Column("holds", Document),
    Column("plan_hash", Text),
    Column("message", Text),
    Column("cause", Text),
    # Each list is newest first, with the id as the tie-breaker of its cursor.
    Index(None, "requested_at", "id"),
    Index(None, "account_id", "requested_at", "id"),
    Index(None, "organisation_id", "requested_at", "id"),
    Index(None, "state", "requested_at", "id"),
    Index(None, "batch_id", "requested_at", "id"),
    Index(None, "of_run_id"),
    # What failed lately, and when each account was last brought up to date.
    Index(None, "finished_at"),
    Index(None, "account_id", "state", "finished_at"),
)

# What a person decided about a run's plan; the first decision stays.
decisions = Table(
    "decisions",
    metadata,
    Column("run_id", Text, primary_key=True),
    _required("plan_hash", Text),
    _required("verdict", Text),
    _required("decided_by", Text),
    _required("at", Utc),
    # The run that writes what was approved.
    Column("act_id", Text),
)

changes = Table(
    "changes",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    _required("run_id", Text),
    Column("account_id", Integer),
    _required("stage", Text),
    _required("kind", Text),
    _required("record_id", Text),
    _required("action", Text),
    Column("before", Document),
    Column("after", Document),
    _required("fields", Document),
    _required("cause", Text),
    # False for the diff of a dry run.
    _required("is_applied", Boolean),
    _required("at", Utc),
    # The same change of the same run is one row, however often it is applied.
    _required("digest", String(32)),
    UniqueConstraint("run_id", "digest"),
    Index(None, "run_id", "id"),
    Index(None, "account_id", "id"),
    Index(None, "kind", "record_id", "id"),
    sqlite_autoincrement=True,
)

# What is to be told and what was: a notice and channel is one row, told in the order of the ids.
notices = Table(
    "notices",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    _required("key", Text),
    _required("channel", Text),
    _required("event", Text),
    _required("severity", Text),
    Column("run_id", Text),
    Column("incident_id", Text),
    _required("subject", Text),
    _required("text", Text),
    _required("fields", Document),
    _required("state", Text),
    _required("created_at", Utc),
    Column("not_before", Utc),
    Column("tried_at", Utc),
    Column("settled_at", Utc),
    Column("reference", Text),
    Column("reason", Text),
    UniqueConstraint("key", "channel"),
    Index(None, "channel", "state", "id"),
    Index(None, "run_id"),
    Index(None, "incident_id", "channel", "id"),
    Index(None, "channel", "state", "settled_at"),
    # What waits or was refused, over all channels.
    Index(None, "state", "settled_at"),
    Index(None, "created_at"),
    sqlite_autoincrement=True,
)

# Problems and their history; `open_key` is the key while it is not over, so that each is open once.
incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    _required("key", Text),
    Column("open_key", Text, unique=True),
    _required("severity", Text),
    _required("title", Text),
    Column("party", Text),
    _required("alerts", Document),
    _required("count", Integer),
    _required("flaps", Integer),
    _required("revision", Integer),
    _required("first_seen_at", Utc),
    Column("opened_at", Utc),
    _required("seen_at", Utc),
    Column("told_at", Utc),
    Column("resolved_at", Utc),
    Index(None, "key", "resolved_at"),
    Index(None, "opened_at", "id"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    _required("at", Utc),
    _required("actor", Text),
    _required("source", Text),
    _required("action", Text),
    Column("subject", Text),
    _required("detail", Document),
    Index(None, "subject", "id"),
    sqlite_autoincrement=True,
)

batches = Table(
    "batches",
    metadata,
    Column("id", Text, primary_key=True),
    _required("requested_at", Utc),
    _required("preset", Text),
    _required("filter", Document),
    _required("spread_s", Float),
    _required("account_count", Integer),
    Index(None, "requested_at", "id"),
)

# Only hashes of secrets; a dashboard session is a row with a parent.
tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    _required("name", Text),
    _required("role", Text),
    _required("digest", String(64)),
    Column("parent_id", Text, ForeignKey("tokens.id", ondelete="CASCADE")),
    _required("created_at", Utc),
    Column("expires_at", Utc),
    Column("revoked_at", Utc),
    Index(None, "parent_id"),
)

cms_refs = Table(
    "cms_refs",
    metadata,
    Column("collection", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    _required("ref", Text),
)


def _undelivered() -> list[Column[Any]]:
    """A change that the CMS has not got: the newest of its record."""
    return [
        Column("kind", Text, primary_key=True),
        Column("record_id", Text, primary_key=True),
        # Parents before children.
        _required("rank", Integer),
        _required("queued_at", Utc),
        _required("ticket", String(32)),
        Column("parent_id", Text),
        _required("action", Text),
        Column("before", Document),
        Column("after", Document),
        _required("cause", Text),
        _required("run_id", Text),
        _required("stage", Text),
    ]


# What waits for a CMS that is away, each change in the place of the first of its record.
outbox = Table(
    "outbox",
    metadata,
    *_undelivered(),
    Index(None, "rank", "queued_at", "record_id"),
    Index(None, "kind", "parent_id"),
    Index(None, "run_id"),
)

# What waited and was refused for good, until somebody has it tried again or a newer change comes.
refusals = Table(
    "refusals",
    metadata,
    *_undelivered(),
    _required("reason", Text),
    _required("refused_at", Utc),
    Index(None, "run_id"),
)

# Runs that let something wait, until the CMS has all of it.
outbox_runs = Table(
    "outbox_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
)

# Records that another run let wait and this one waits for as well, counted by the stage.
outbox_shares = Table(
    "outbox_shares",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("record_id", Text, primary_key=True),
    _required("stage", Text),
)
