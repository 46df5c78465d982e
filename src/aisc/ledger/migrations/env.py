"""Alembic's entry point: runs inside the caller's connection."""

from alembic import context

from aisc.ledger.models import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
