"""Requests that a client library would not send."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import unquote

from uvicorn import Config, Server

from skyhold.kernel.http.protocol import bounded
from skyhold.kernel.settings import KernelSettings

# For what should be there at once, on a machine that is busy with other things.
PATIENCE_S = 30


async def asgi(app, method, target):
    """Ask an application for exactly this target; answers status, headers, body."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "server": ("skyhold.test", 80),
        "client": ("127.0.0.1", 1),
        "headers": [(b"host", b"skyhold.test")],
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A connection on which anything may be said."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def say(self, *pieces):
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self):
        """The next answer."""
        async with asyncio.timeout(PATIENCE_S):
            line, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in filter(None, lines))
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(line.split()[1]), headers, body)

    async def is_closed(self):
        """Waits until the other side has nothing more to say; whether that was so at once."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read() == b""
            except ConnectionResetError:
                return True


@dataclass
class Listening:
    server: Server
    port: int

    @asynccontextmanager
    async def wire(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Wire(reader, writer)
        finally:
            writer.close()


@asynccontextmanager
async def listening(app, **settings):
    """A server with our protocol, as the command line starts one."""
    config = Config(
        app,
        port=0,
        http=bounded(KernelSettings(_env_file=None, **settings)),
        ws="none",
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    serving = asyncio.create_task(server._serve())
    async with asyncio.timeout(PATIENCE_S):
        while not server.started:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.01)
    try:
        yield Listening(server, server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        await serving
