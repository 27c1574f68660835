"""The few words in which the databases' SQL differs, for rows that they make themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from . import database


class Dialect:
    """As PostgreSQL has it; the others say where they differ."""

    before: tuple[str, ...] = ()
    code_type = "VARCHAR(3)"

    def numbers(self, first: int, last: int) -> str:
        """A table `s` of these numbers, in its column `n`."""
        return f"generate_series({first}, {last}) AS s(n)"

    def div(self, number: str, by: int) -> str:
        """Whole-number division."""
        return f"({number} / {by})"

    def cat(self, *parts: str) -> str:
        """Texts and numbers, one after the other."""
        return f"CONCAT({', '.join(parts)})"

    def hexadecimal(self, number: str, digits: int) -> str:
        """A number in so many digits, in lower case."""
        return f"LPAD(TO_HEX({number}), {digits}, '0')"

    def date(self, start: datetime, days: str) -> str:
        """A date so many days later."""
        return f"(DATE '{start:%Y-%m-%d}' + CAST({days} AS INTEGER))"

    def instant(self, start: datetime, minutes: str) -> str:
        """An instant so many minutes later."""
        return f"(TIMESTAMP '{_written(start)}' + ({minutes}) * INTERVAL '1 minute')"

    def json(self, text: str) -> str:
        """A text as the type of a JSON column."""
        return f"CAST({text} AS JSON)"

    def analyse(self, url: str, tables: Sequence[str]) -> None:
        """Let the server know what there is now, before it finds out during a load."""
        database.execute(url, *(f"ANALYZE {table}" for table in tables))


class MariaDbDialect(Dialect):
    """MariaDB: numbers from its sequence engine."""

    before = ("SET SESSION unique_checks = 0", "SET SESSION foreign_key_checks = 0")
    code_type = "VARCHAR(3) CHARACTER SET ascii COLLATE ascii_nopad_bin"

    def numbers(self, first: int, last: int) -> str:
        """Of the sequence engine."""
        # Signed: some of them are subtracted.
        return f"(SELECT CAST(seq AS SIGNED) AS n FROM seq_{first}_to_{last}) s"

    def div(self, number: str, by: int) -> str:
        """`/` has a fraction."""
        return f"({number} DIV {by})"

    def hexadecimal(self, number: str, digits: int) -> str:
        """HEX is in upper case."""
        return f"LPAD(LOWER(HEX({number})), {digits}, '0')"

    def date(self, start: datetime, days: str) -> str:
        """By DATE_ADD."""
        return f"DATE_ADD(DATE '{start:%Y-%m-%d}', INTERVAL {days} DAY)"

    def instant(self, start: datetime, minutes: str) -> str:
        """By DATE_ADD."""
        return f"DATE_ADD(TIMESTAMP '{_written(start)}', INTERVAL ({minutes}) MINUTE)"

    def json(self, text: str) -> str:
        """JSON is a text."""
        return text

    def analyse(self, url: str, tables: Sequence[str]) -> None:
        """One statement for all."""
        database.execute(url, f"ANALYZE TABLE {', '.join(tables)}")


class SqliteDialect(Dialect):
    """SQLite: dates are texts, in the form in which SQLAlchemy writes them."""

    def numbers(self, first: int, last: int) -> str:
        """Counted by a query that repeats itself."""
        return (
            f"(WITH RECURSIVE s(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM s "
            f"WHERE n < {last}) SELECT n FROM s) s"
        )

    def cat(self, *parts: str) -> str:
        """By `||`."""
        return f"({' || '.join(parts)})"

    def hexadecimal(self, number: str, digits: int) -> str:
        """By printf."""
        return f"printf('%0{digits}x', {number})"

    def date(self, start: datetime, days: str) -> str:
        """As text."""
        return f"date('{start:%Y-%m-%d}', '+' || {days} || ' days')"

    def instant(self, start: datetime, minutes: str) -> str:
        """As text."""
        form = r"%Y-%m-%d %H\:%M\:%S.000000"
        return f"strftime('{form}', '{_written(start)}', ({minutes}) || ' minutes')"

    def json(self, text: str) -> str:
        """JSON is a text."""
        return text


DIALECTS: dict[str, Dialect] = {
    "mariadb": MariaDbDialect(),
    "postgresql": Dialect(),
    "sqlite": SqliteDialect(),
}


def _written(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H\\:%M\\:%S}"
