"""What a request's body may be: not too long, JSON by its header, and JSON in fact.

A body is looked at while it is read, so a route that reads none does not care, and no route that
reads one can forget to ask.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.types import Message, Receive

from skyhold.kernel.errors import BadRequest, BodyTooLarge, UnsupportedMediaType

from . import strict_json
from .problems import Refused

_JSON = re.compile(rb'application/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE)


class CheckedBody:
    """The `receive` of a request. Raises Refused: 400 `bad_request`, 413 or 415.

    All of the body is here, and right, before the last piece is handed on.
    """

    _wanted: str | None = None

    def __init__(self, headers: Mapping[bytes, bytes], receive: Receive, bytes_max: int) -> None:
        self._headers = headers
        self._receive = receive
        self._bytes_left = bytes_max
        self._pieces: list[bytes] = []

    async def __call__(self) -> Message:
        """The next piece."""
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        if piece := message.get("body", b""):
            self._take(piece)
        if self._pieces and not message.get("more_body", False):
            self._check_whole()
        return message

    def _take(self, piece: bytes) -> None:
        self._bytes_left -= len(piece)
        if self._bytes_left < 0:
            raise Refused(BodyTooLarge())
        if not self._pieces:
            self._check_kind()
        self._pieces.append(piece)

    def _check_kind(self) -> None:
        kind = self._headers.get(b"content-type", b"")
        if not self._is_right_kind(kind):
            raise Refused(UnsupportedMediaType(self._wanted))
        # What is packed is never unpacked, so it cannot become large.
        if self._headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Refused(UnsupportedMediaType("Send the body without a Content-Encoding."))

    def _is_right_kind(self, kind: bytes) -> bool:
        return kind == b"application/json" or _JSON.fullmatch(kind) is not None

    def _check_whole(self) -> None:
        pieces, self._pieces = self._pieces, []
        try:
            strict_json.check(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        except strict_json.NotJson as error:
            raise Refused(BadRequest(f"The body is not valid JSON: {error}.")) from None


class CheckedForm(CheckedBody):
    """The `receive` of a page: its bodies are what a browser makes of a form, and nothing else."""

    _wanted = "Send a form, as application/x-www-form-urlencoded."

    def _is_right_kind(self, kind: bytes) -> bool:
        return kind.partition(b";")[0].strip().lower() == b"application/x-www-form-urlencoded"

    def _check_whole(self) -> None:
        self._pieces = []
