"""HTTP by hand: a request is whatever bytes a test likes, also such as no library would send."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 60
IDLE_S = 2  # the server gives an idle connection up after some seconds
ANSWER_BYTES_MAX = 4_000_000
NO_BODY = frozenset({204, 304})


class HungUp(Exception):
    """The connection ended before there was a whole answer."""


@dataclass(frozen=True)
class Answer:
    """What came back; the names of headers are in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The problem's code; None where the body is no problem."""
        try:
            found = self.json()
        except ValueError:
            return None
        return found.get("code") if isinstance(found, dict) else None

    @property
    def closes(self) -> bool:
        return (self.header("connection") or "").lower() == "close"


def request(
    method: str,
    target: str,
    headers: dict[str, str | bytes | list[str | bytes]] | None = None,
    body: bytes | None = None,
) -> bytes:
    """The bytes of a request that is all right, but for what is put into it."""
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: skyhold.test"]
    for name, given in (headers or {}).items():
        for value in given if isinstance(given, list) else [given]:
            said = value if isinstance(value, bytes) else value.encode("latin-1")
            lines.append(name.encode("latin-1") + b": " + said)
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


@dataclass
class Line:
    """One connection to a server; opened again only where the server has announced its end."""

    url: str
    opened: int = 0
    _used_at: float = 0
    _ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = field(default=None)

    async def ask(self, content: bytes, *, head: bool = False) -> Answer:
        """Send these bytes and read one answer. Raises HungUp."""
        if time.monotonic() - self._used_at > IDLE_S:
            await self.close()
        reader, writer = await self._open()
        writer.write(content)
        with suppress(ConnectionError):
            await writer.drain()
        answer = await self._read(reader, head=head)
        self._used_at = time.monotonic()
        if answer.closes:
            await self.close()
        return answer

    async def more(self) -> Answer:
        """The next answer on this connection. Raises HungUp."""
        reader, _ = await self._open()
        return await self._read(reader)

    async def says_no_more(self) -> None:
        """Close our half, as a client does that has died in the middle of a request."""
        _, writer = await self._open()
        writer.write_eof()

    async def close(self) -> None:
        ends, self._ends = self._ends, None
        if ends is not None:
            ends[1].close()
            with suppress(ConnectionError):
                await ends[1].wait_closed()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._ends is None:
            where = urlsplit(self.url)
            self._ends = await asyncio.open_connection(
                where.hostname, where.port, limit=ANSWER_BYTES_MAX
            )
            self.opened += 1
        return self._ends

    async def _read(self, reader: asyncio.StreamReader, *, head: bool = False) -> Answer:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await read_answer(reader, head=head)
        except (EOFError, ConnectionError) as error:
            await self.close()
            raise HungUp(type(error).__name__) from error


async def read_answer(reader: asyncio.StreamReader, *, head: bool = False) -> Answer:
    """One answer. Raises EOFError (IncompleteReadError) when it is not whole."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    status = int(first.split()[1])
    parts = [line.partition(":") for line in lines]
    headers = [(name.strip().lower(), value.strip()) for name, _, value in parts]
    said = dict(headers)
    if head or status in NO_BODY or status < 200:
        body = b""
    elif said.get("transfer-encoding") == "chunked":
        body = await _chunks(reader)
    elif "content-length" in said:
        body = await reader.readexactly(int(said["content-length"]))
    else:
        body = await reader.read(ANSWER_BYTES_MAX)
    return Answer(status, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body
