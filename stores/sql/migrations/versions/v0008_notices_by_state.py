"""What waits or was refused, found without a walk over all notices."""

from __future__ import annotations

from alembic import op

revision = "v0008"
down_revision = "v0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_notices_state_settled_at"), "notices", ["state", "settled_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_notices_state_settled_at"), table_name="notices")
