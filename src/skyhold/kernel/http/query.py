"""A query string says only what the route asks for, and each thing once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from skyhold.kernel.errors import BadRequest, FieldError, Unprocessable


def check(request: Request, known: Mapping[str, bool]) -> None:
    """Raises Unprocessable for a parameter that is not `known`, or that is there twice.

    Who misspells `status` would take all bookings for those in one state; and of two values that
    contradict each other, whoever stands between us may have read the other one. Raises BadRequest
    for what is no text.
    """
    raw: bytes = request.scope["query_string"]
    if not raw:
        return
    _check_text(raw)
    given = Counter(name for name, _ in request.query_params.multi_items())
    errors = tuple(
        FieldError(f"query.{name}", "is given more than once" if name in known else "is not known")
        for name, times in given.items()
        if name not in known or (times > 1 and not known[name])
    )
    if errors:
        raise Unprocessable(
            "Something in the request is not acceptable; `errors` says what.", errors=errors
        )


def known_to(route: APIRoute) -> Mapping[str, bool]:
    """The parameters of a route, and whether each may be repeated."""
    return {
        field.alias: "list[" in str(field.field_info.annotation)
        for field in get_flat_params(route.dependant)
        if isinstance(field.field_info, Query)
    }


def _check_text(raw: bytes) -> None:
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise BadRequest("The query string is not valid UTF-8.") from None
