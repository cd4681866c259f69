"""What customers pay for, and an index for the games of a few days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0006"
down_revision = "v0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("accounts") as accounts:
        accounts.add_column(sa.Column("plan", sa.Text(), nullable=True))
    op.create_index(op.f("ix_games_first_day"), "games", ["first_day"])


def downgrade() -> None:
    op.drop_index(op.f("ix_games_first_day"), table_name="games")
    with op.batch_alter_table("accounts") as accounts:
        accounts.drop_column("plan")
