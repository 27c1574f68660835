"""Types for what comes over the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
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
