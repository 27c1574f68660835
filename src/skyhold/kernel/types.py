"""Types for what comes over the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True)
class Matching:
    """An annotation for strings: the whole of it matches `pattern`, or the sender is told `says`.

    A pattern alone would tell people a regular expression; programs find it in the API's document.
    """

    pattern: str
    says: str

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Check after everything else about the string."""
        whole = re.compile(self.pattern, re.ASCII)
        says = self.says

        def check(text: str) -> str:
            if not whole.fullmatch(text):
                raise ValueError(says)
            return text

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Document the pattern."""
        return handler(schema) | {"pattern": f"^{self.pattern}$"}


def _plain_number(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
        msg = "must be a whole number"
        raise ValueError(msg)
    return value


def _calendar_day(value: object) -> object:
    if isinstance(value, int | float) or (
        isinstance(value, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)
    ):
        msg = "must be a date, such as 2026-12-01"
        raise ValueError(msg)
    return value


def _written_out(value: object) -> object:
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value[1:]):
        msg = "should look like 2026-12-01 or 2026-12-01T05:15"
        raise ValueError(msg)
    return value


# For numbers in a query string: digits, and not 1.0, +1, 1_0 or " 1", which would be taken too.
PLAIN_NUMBER = BeforeValidator(_plain_number)
# For dates: not the seconds since 1970, nor a time of that day, which would be taken too.
CALENDAR_DAY = BeforeValidator(_calendar_day)
# For instants: not the seconds since 1970, which would be taken too.
WRITTEN_OUT = BeforeValidator(_written_out)
