"""Which runs wait for what another run let wait for the CMS."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0010"
down_revision = "v0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outbox_shares",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "kind", "record_id", name=op.f("pk_outbox_shares")),
    )


def downgrade() -> None:
    op.drop_table("outbox_shares")
