"""What waits for a CMS that is away."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0007"
down_revision = "v0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ticket", sa.String(length=32), nullable=False),
        sa.Column("parent_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "record_id", name=op.f("pk_outbox")),
    )
    op.create_index(op.f("ix_outbox_rank_queued_at_record_id"), "outbox", ["rank", "queued_at", "record_id"])
    op.create_index(op.f("ix_outbox_kind_parent_id"), "outbox", ["kind", "parent_id"])
    op.create_index(op.f("ix_outbox_run_id"), "outbox", ["run_id"])
    op.create_table(
        "outbox_runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_outbox_runs")),
    )


def downgrade() -> None:
    op.drop_table("outbox_runs")
    op.drop_table("outbox")
