"""What a request's line and headers may be, before anybody looks at what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from starlette.types import Scope

from skyhold.kernel.errors import (
    BadRequest,
    BodyTooLarge,
    HeaderFieldsTooLarge,
    NotFound,
    Problem,
    Unprocessable,
    UriTooLong,
)

TARGET_BYTES_MAX = 8_192
HEADERS_MAX = 100
# Where two would let two readers, a proxy and this service say, believe different things.
ONCE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"cookie",
        b"host",
        b"idempotency-key",
        b"origin",
        b"sec-fetch-site",
        b"transfer-encoding",
        b"x-deadline-ms",
    }
)
# A colon, a blank and the end of the line.
_AROUND_A_HEADER = 4


def refusal(
    scope: Scope, headers: Mapping[bytes, bytes], *, header_bytes_max: int, body_bytes_max: int
) -> Problem | None:
    """Why this request is not served at all; None if it may be.

    `headers` are those of the scope, of each name the last.
    """
    given: list[tuple[bytes, bytes]] = scope["headers"]
    query: bytes = scope.get("query_string", b"")
    if len(scope.get("raw_path") or scope["path"]) + len(query) >= TARGET_BYTES_MAX:
        return UriTooLong()
    if (
        len(given) > HEADERS_MAX
        or sum(len(name) + len(value) + _AROUND_A_HEADER for name, value in given)
        > header_bytes_max
    ):
        return HeaderFieldsTooLarge()
    if len(headers) < len(given) and (twice := _twice(given)):
        return BadRequest(f"The request has more than one {twice} header.")
    # No database of ours takes a NUL, and no address has one.
    if "\0" in scope["path"]:
        return NotFound()
    if b"%00" in query:
        return Unprocessable("The query has a NUL character.")
    return _too_long(headers.get(b"content-length", b""), body_bytes_max)


def _twice(given: list[tuple[bytes, bytes]]) -> str | None:
    counted = Counter(name for name, _ in given)
    found = sorted(name for name in ONCE if counted[name] > 1)
    return found[0].decode().title() if found else None


def _too_long(content_length: bytes, body_bytes_max: int) -> Problem | None:
    is_too_long = content_length.isdigit() and int(content_length[:20]) > body_bytes_max
    return BodyTooLarge() if is_too_long else None
