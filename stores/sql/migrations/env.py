"""Alembic's entry: runs the migrations on the connection that `stores.sql.migrate` hands over."""

from __future__ import annotations

from alembic import context

from stores.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most things in place.
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
