"""What the database's driver says of an error, asked by name."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError


def error_name(error: DBAPIError) -> str:
    """SQLite's name of the error, such as SQLITE_BUSY; empty when it has none."""
    # The async adapter wraps the driver's exception in one of its own.
    orig: BaseException | None = error.orig
    while orig is not None and not isinstance(orig, sqlite3.Error):
        orig = orig.__cause__
    return getattr(orig, "sqlite_errorname", "")


def is_duplicate(error: DBAPIError) -> bool:
    """Whether a unique or primary key refused a row."""
    return error_name(error) in {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}


def is_dangling(error: DBAPIError) -> bool:
    """Whether a foreign key refused a row."""
    return error_name(error) == "SQLITE_CONSTRAINT_FOREIGNKEY"


def is_transient(error: DBAPIError) -> bool:
    """Whether running the whole function again may well succeed."""
    busy = error_name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    return busy or error.connection_invalidated
