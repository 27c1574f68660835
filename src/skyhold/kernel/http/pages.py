"""Lists in pages: `{"data": […], "next": "<cursor>" | null}`."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from skyhold.kernel.errors import FieldError, Unprocessable
from skyhold.kernel.types import PLAIN_NUMBER

Item = TypeVar("Item")

PAGE_MAX = 100
PAGE_DEFAULT = 20
CURSOR_MAX = 512

Limit = Annotated[
    int, Query(ge=1, le=PAGE_MAX, description="How many to answer at most"), PLAIN_NUMBER
]
After = Annotated[
    str | None, Query(max_length=CURSOR_MAX, description="`next` of the page before this one")
]


class Page(BaseModel, Generic[Item]):
    """Some of a list, and where to go on."""

    data: list[Item]
    next: str | None = Field(description="Pass it as `after` for the next page; null at the end")


class InvalidCursor(Unprocessable):
    """The cursor in `after` is not one that this service handed out."""

    code = "invalid_cursor"

    def __init__(self) -> None:
        super().__init__(errors=(FieldError("after", self.default_detail()),))


def to_cursor(*position: str) -> str:
    """An opaque cursor for a position in a list."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def from_cursor(cursor: str, parts: int) -> list[str]:
    """The position a cursor stands for. Raises InvalidCursor."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        position = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise InvalidCursor from None
    if not isinstance(position, list) or len(position) != parts:
        raise InvalidCursor
    if not all(isinstance(part, str) and part.isprintable() for part in position):
        raise InvalidCursor
    return position


def to_instant_cursor(at: datetime, id_: str) -> str:
    """A cursor for a place in a list that is ordered by time and, at the same instant, by id."""
    return to_cursor(at.isoformat(), id_)


def from_instant_cursor(cursor: str) -> tuple[datetime, str]:
    """The instant and the id that `to_instant_cursor` was given. Raises InvalidCursor."""
    text, id_ = from_cursor(cursor, 2)
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise InvalidCursor
        return at.astimezone(UTC), id_
    except (ValueError, OverflowError):  # no instant, or one beyond the calendar
        raise InvalidCursor from None
