"""As much of HTTP/1.1 as a proxy needs that spoils it: whole messages, read and written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

HEAD_MAX = 65_536
NO_BODY = frozenset({204, 304})


class Broken(Exception):
    """The other side went away in the middle of a message."""


@dataclass(frozen=True)
class Message:
    """A request or an answer. `is_whole` says that the other side had said all of it."""

    start: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    is_whole: bool = True

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """By their names in lower case."""
        return {name.lower(): value for name, value in self.fields}

    @property
    def status(self) -> int:
        """An answer's."""
        return int(self.start.split()[1])

    @property
    def wants_more(self) -> bool:
        """Whether a client keeps its connection for another request."""
        return self.headers.get("connection", "").lower() != "close"

    def with_fields(self, **values: str) -> Message:
        """The same with these headers, and without those that were called so."""
        named = {name.replace("_", "-"): value for name, value in values.items()}
        kept = [(name, value) for name, value in self.fields if name.lower() not in named]
        return Message(self.start, (*kept, *named.items()), self.body, self.is_whole)

    def with_body(self, body: bytes) -> Message:
        """The same with another body; what its headers say of it stays as it was."""
        return Message(self.start, self.fields, body, self.is_whole)

    def to_bytes(self) -> bytes:
        """As it goes over the wire."""
        head = "".join(f"{name}: {value}\r\n" for name, value in self.fields)
        return f"{self.start}\r\n{head}\r\n".encode("latin-1") + self.body


def answer(status: int, body: bytes, kind: str = "text/html") -> Message:
    """An answer of our own."""
    fields = (("content-type", kind), ("content-length", str(len(body))))
    return Message(f"HTTP/1.1 {status} Fault", fields, body)


async def read_request(reader: asyncio.StreamReader) -> Message | None:
    """The next request on this connection; None when there is none any more."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        start, fields = _head(head)
        length = _length(fields) or 0
        return Message(start, fields, await reader.readexactly(length))
    except (asyncio.IncompleteReadError, OSError):
        return None


async def read_answer(reader: asyncio.StreamReader) -> Message:
    """An answer, after which the connection is not used again. Raises Broken."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, OSError) as error:
        raise Broken from error
    start, fields = _head(head)
    if int(start.split()[1]) in NO_BODY:
        return Message(start, fields, b"")
    length = _length(fields)
    body = bytearray()
    try:
        while chunk := await reader.read(HEAD_MAX):
            body += chunk
            if length is not None and len(body) >= length:
                break
    except OSError:
        pass
    return Message(start, fields, bytes(body), is_whole=length is None or len(body) == length)


def _head(raw: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    start, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return start, tuple((name, value.strip()) for name, _, value in pairs)


def _length(fields: tuple[tuple[str, str], ...]) -> int | None:
    for name, value in fields:
        if name.lower() == "content-length":
            return int(value)
    return None
