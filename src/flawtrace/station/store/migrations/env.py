"""How alembic reaches the database: by the connection that `Database` hands over."""

from alembic import context

from flawtrace.station.store.tables import Table

if hasattr(context, "config"):  # not where something else than alembic imports this file
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=Table.metadata,
        transaction_per_migration=False,
    )
    context.run_migrations()
