"""Run by Alembic; the work is done in kernel/migrations.py."""

from alembic import context

from skyhold.booking.models.tables import Base
from skyhold.kernel import migrations

migrations.run(context, Base.metadata)  # type: ignore[arg-type]
