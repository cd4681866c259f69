"""Plans that wait for a person, decisions about them, and the usual sizes of listings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0004"
down_revision = "v0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "decisions",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("plan_hash", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_decisions")),
    )
    op.create_table(
        "usual_sizes",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sizes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_usual_sizes")),
    )
    with op.batch_alter_table("absences") as absences:
        absences.add_column(sa.Column("is_doubtful", sa.Boolean(), server_default=sa.false(), nullable=False))
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("of_run_id", sa.Text(), nullable=True))
        runs.add_column(sa.Column("holds", sa.JSON(), nullable=True))
        runs.add_column(sa.Column("plan_hash", sa.Text(), nullable=True))
        runs.create_index(op.f("ix_runs_of_run_id"), ["of_run_id"])


def downgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        runs.drop_index(op.f("ix_runs_of_run_id"))
        runs.drop_column("plan_hash")
        runs.drop_column("holds")
        runs.drop_column("of_run_id")
    with op.batch_alter_table("absences") as absences:
        absences.drop_column("is_doubtful")
    op.drop_table("usual_sizes")
    op.drop_table("decisions")
