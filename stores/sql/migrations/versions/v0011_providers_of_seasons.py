"""Whose season it is: two providers may use the same ids."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0011"
down_revision = "v0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("seasons", sa.Column("provider", sa.Text()))
    # Of the association, or of the run that wrote it; what neither tells is noted by the next change.
    op.execute(
        """
        UPDATE seasons SET provider = COALESCE(
            (SELECT MIN(organisations.provider) FROM organisations
             WHERE organisations.id = seasons.association_id),
            (SELECT MIN(runs.provider) FROM changes JOIN runs ON runs.id = changes.run_id
             WHERE changes.kind = 'season' AND changes.record_id = seasons.id)
        )
        """
    )


def downgrade() -> None:
    op.drop_column("seasons", "provider")
