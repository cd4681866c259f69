"""What is told to whom, problems with their history, and why runs fail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0005"
down_revision = "v0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("runs") as batch_op:
        batch_op.add_column(sa.Column("cause", sa.Text()))
        batch_op.create_index(batch_op.f("ix_runs_finished_at"), ["finished_at"])
        batch_op.create_index(
            batch_op.f("ix_runs_account_id_state_finished_at"), ["account_id", "state", "finished_at"]
        )
    op.create_table(
        "notices",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text()),
        sa.Column("incident_id", sa.Text()),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("fields", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True)),
        sa.Column("tried_at", sa.DateTime(timezone=True)),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.Column("reference", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("key", "channel", name=op.f("uq_notices_key_channel")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("notices") as batch_op:
        batch_op.create_index(batch_op.f("ix_notices_channel_state_id"), ["channel", "state", "id"])
        batch_op.create_index(batch_op.f("ix_notices_run_id"), ["run_id"])
        batch_op.create_index(
            batch_op.f("ix_notices_incident_id_channel_id"), ["incident_id", "channel", "id"]
        )
        batch_op.create_index(
            batch_op.f("ix_notices_channel_state_settled_at"), ["channel", "state", "settled_at"]
        )
        batch_op.create_index(batch_op.f("ix_notices_created_at"), ["created_at"])
    op.create_table(
        "incidents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("open_key", sa.Text()),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("party", sa.Text()),
        sa.Column("alerts", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("flaps", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True)),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True)),
        sa.Column("resolved_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
        sa.UniqueConstraint("open_key", name=op.f("uq_incidents_open_key")),
    )
    with op.batch_alter_table("incidents") as batch_op:
        batch_op.create_index(batch_op.f("ix_incidents_key_resolved_at"), ["key", "resolved_at"])
        batch_op.create_index(batch_op.f("ix_incidents_opened_at_id"), ["opened_at", "id"])
    # The record of what was told lives on among the notices.
    op.execute(
        "INSERT INTO notices (key, channel, event, severity, run_id, subject, text, fields, state,"
        " created_at, tried_at, settled_at, reference)"
        " SELECT run_id || ':' || event, channel, event, 'info', run_id, event, '', '{}', 'sent',"
        " delivered_at, delivered_at, delivered_at, reference FROM deliveries"
    )
    op.drop_table("deliveries")


def downgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "event", "channel", name=op.f("pk_deliveries")),
    )
    op.execute(
        "INSERT INTO deliveries (run_id, event, channel, reference, delivered_at)"
        " SELECT run_id, event, channel, reference, settled_at FROM notices"
        " WHERE run_id IS NOT NULL AND reference IS NOT NULL"
    )
    op.drop_table("incidents")
    op.drop_table("notices")
    with op.batch_alter_table("runs") as batch_op:
        batch_op.drop_index(batch_op.f("ix_runs_account_id_state_finished_at"))
        batch_op.drop_index(batch_op.f("ix_runs_finished_at"))
        batch_op.drop_column("cause")
