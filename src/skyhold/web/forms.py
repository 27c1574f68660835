"""What a browser makes of a form."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

FIELDS_MAX = 200


class NotAForm(Exception):
    """The body is none that a form of ours makes."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, in their order; a name may occur several times."""

    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, body: bytes) -> Form:
        """Read application/x-www-form-urlencoded. Raises NotAForm."""
        try:
            fields = parse_qsl(
                body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"
            )
        except ValueError as error:
            raise NotAForm from error
        return cls(tuple(fields))

    def text(self, name: str) -> str:
        """The field of this name, without blanks around it; empty if it is missing."""
        return next((value.strip() for key, value in self.fields if key == name), "")

    def secret(self, name: str) -> str:
        """The same as it was typed: blanks belong to a password."""
        return next((value for key, value in self.fields if key == name), "")

    def all(self, name: str) -> list[str]:
        """All fields of this name, in their order."""
        return [value.strip() for key, value in self.fields if key == name]
