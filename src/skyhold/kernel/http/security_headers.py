"""What every answer tells a browser, unless its handler has told it something else.

An answer of this API is never a page: nothing is loaded from it, run, framed, kept or guessed at.
The two pages there are, /docs and the sandbox's, say what they need.
"""

from __future__ import annotations

from collections.abc import Iterable

Raw = tuple[bytes, bytes]

NOT_USED = ("accelerometer", "camera", "geolocation", "gyroscope", "magnetometer", "microphone")

ALWAYS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": ", ".join(f"{feature}=()" for feature in (*NOT_USED, "payment", "usb")),
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
# A year, which is what lists of such hosts ask for.
OVER_HTTPS = {"strict-transport-security": "max-age=31536000"}


class SecurityHeaders:
    """Adds what is missing; `secure` where this is reached over https only."""

    def __init__(self, *, secure: bool) -> None:
        wanted = ALWAYS | (OVER_HTTPS if secure else {})
        self._raw: list[Raw] = [(name.encode(), value.encode()) for name, value in wanted.items()]
        self._names = frozenset(name for name, _ in self._raw)

    def missing(self, given: Iterable[Raw]) -> list[Raw]:
        """Those that an answer with these headers does not have."""
        said = {name for name, _ in given} & self._names
        return [header for header in self._raw if header[0] not in said] if said else self._raw
