"""The booking database's history, see kernel/migrations.py."""
