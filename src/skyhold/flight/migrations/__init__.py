"""The flight database's history, see kernel/migrations.py."""
