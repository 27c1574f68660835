"""Column types that mean the same on every engine, and names for constraints."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import DateTime, Dialect, MetaData, String
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


def metadata() -> MetaData:
    """Table definitions whose constraints have the same names on every engine."""
    return MetaData(naming_convention=NAMING)


class Key(TypeDecorator[str]):
    """An ASCII string compared byte by byte: ids, keys, digests, codes.

    MySQL's default collation equates 'a' and 'A' and ignores trailing spaces; an id may not.
    """

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """MySQL needs its binary collation named."""
        return _exact(self.impl_instance, dialect, "ascii")


class ExactText(TypeDecorator[str]):
    """Any text, compared code point by code point."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """MySQL needs its binary collation named."""
        return _exact(self.impl_instance, dialect, "utf8mb4")


class Instant(TypeDecorator[datetime]):
    """An instant with microseconds. Aware and UTC in Python; without a zone in the database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """MySQL drops fractions of a second unless told otherwise."""
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive datetime: nobody knows which instant it is."""
        del dialect
        if value is None:
            return None
        assert value.tzinfo is not None, f"{value} has no time zone"
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


def _exact(string: TypeEngine[Any], dialect: Dialect, charset: str) -> TypeEngine[Any]:
    assert isinstance(string, String)
    if dialect.name in {"mysql", "mariadb"}:
        is_mariadb = getattr(dialect, "is_mariadb", False)
        return dialect.type_descriptor(_binary(string.length, charset, is_mariadb=is_mariadb))
    return dialect.type_descriptor(string)


# Made once: SQLAlchemy asks for it with every list of values, and works out anew what it is given.
@cache
def _binary(length: int | None, charset: str, *, is_mariadb: bool) -> mysql.VARCHAR:
    # The collations with PAD, and that is every older one, ignore spaces at the end.
    if is_mariadb:
        return mysql.VARCHAR(length, charset=charset, collation=f"{charset}_nopad_bin")
    # MySQL has it for no other set.
    return mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_0900_bin")
