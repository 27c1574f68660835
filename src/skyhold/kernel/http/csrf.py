"""Requests that another site makes a user's browser send, and how they are told apart.

A browser says where a request comes from, and no page can make it lie: in Sec-Fetch-Site, or where
it does not send that (over plain http, or an old one), in Origin. Programs send neither, and
nothing can make them send somebody else's cookie.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from skyhold.kernel.errors import Forbidden

from .cookies import CREDENTIAL_COOKIES

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class CrossSiteRequest(Forbidden):
    """This request does not come from a page that may make it."""

    code = "cross_site_request"


class _From(Enum):
    HERE = auto()
    ELSEWHERE = auto()
    UNKNOWN = auto()


class Guard:
    """Decides whether a request that changes something is one its user meant.

    `allowed` are other origins whose pages may; with `secure` pages over plain http may not. With
    `forms` it guards pages, to which a header says nothing.
    """

    def __init__(self, allowed: frozenset[str], *, secure: bool, forms: bool = False) -> None:
        self._allowed = allowed
        self._forms = forms
        self._schemes = ("https",) if secure else ("http", "https")

    def refuses(self, method: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the answer is CrossSiteRequest."""
        if method in SAFE_METHODS:
            return False
        # Another site cannot set that header without being asked whether it may. A browser adds one
        # by itself behind a proxy that wants a password: the API then goes by the header, and pages
        # by the cookie.
        if b"authorization" in headers and not self._forms:
            return False
        where = self._where(headers)
        return where is _From.ELSEWHERE or (where is _From.UNKNOWN and _has_credentials(headers))

    def _where(self, headers: Mapping[bytes, bytes]) -> _From:
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin in self._allowed:
            return _From.HERE
        site = headers.get(b"sec-fetch-site")
        if site is not None:
            return _From.HERE if site in {b"same-origin", b"none"} else _From.ELSEWHERE
        if not origin:
            return _From.UNKNOWN
        host = headers.get(b"host", b"").decode("latin-1").lower()
        return _From.HERE if self._is(origin, host) else _From.ELSEWHERE

    def _is(self, origin: str, host: str) -> bool:
        scheme, _, place = origin.partition("://")
        if scheme not in self._schemes or not host:
            return False
        port = DEFAULT_PORTS[scheme]
        return place.removesuffix(port) == host.removesuffix(port)


def _has_credentials(headers: Mapping[bytes, bytes]) -> bool:
    cookies = headers.get(b"cookie")
    if not cookies:
        return False
    names = (pair.partition("=")[0].strip() for pair in cookies.decode("latin-1").split(";"))
    return not CREDENTIAL_COOKIES.isdisjoint(names)
