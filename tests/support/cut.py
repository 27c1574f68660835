"""A wire that a test can cut: a TCP proxy in front of a server."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

CHUNK_BYTES = 65_536


class Cut:
    """Stands between a client and a server at `host:port`; clients connect to `self.port`.

    `cut` drops every connection and refuses new ones, `silence` keeps the server's answers back
    while its connections stay open, and `heal` ends both: what was kept back arrives late.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server_at = host, port
        self._listener: asyncio.Server | None = None
        self._port = 0
        self._wires: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._answers_pass = asyncio.Event()
        self._answers_pass.set()

    @classmethod
    def before(cls, url: str) -> Cut:
        """Before the server that an address names."""
        parts = urlsplit(url)
        assert parts.hostname, url
        assert parts.port, url
        return cls(parts.hostname, parts.port)

    @property
    def port(self) -> int:
        """Where clients connect to, the same after every `heal`."""
        return self._port

    @property
    def in_use(self) -> bool:
        """Whether anybody is connected."""
        return bool(self._wires)

    def url(self, url: str) -> str:
        """The same address, by this wire."""
        parts = urlsplit(url)
        account, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{account}{at}127.0.0.1:{self._port}").geturl()

    async def start(self) -> None:
        """Listen, on a port of its own choice the first time."""
        assert self._listener is None, "it listens"
        self._listener = await asyncio.start_server(self._connect, "127.0.0.1", self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Drop every connection, without a farewell, and refuse new ones."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for wire in self._wires:
            wire.transport.abort()
        if self._pumps:
            for pump in self._pumps:
                pump.cancel()
            await asyncio.wait(self._pumps)

    def silence(self) -> None:
        """Keep back what the server answers from now on."""
        self._answers_pass.clear()

    async def heal(self) -> None:
        """Let everything pass again."""
        self._answers_pass.set()
        if self._listener is None:
            await self.start()

    async def close(self) -> None:
        """Drop everything for good."""
        await self.cut()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._wires.add(writer)
        try:
            to_server, from_server = None, None
            with contextlib.suppress(OSError):
                from_server, to_server = await asyncio.open_connection(*self._server_at)
            if from_server is None or to_server is None:
                return
            self._wires.add(to_server)
            always = asyncio.Event()
            always.set()
            pumps = [
                asyncio.create_task(self._pump(reader, to_server, always)),
                asyncio.create_task(self._pump(from_server, writer, self._answers_pass)),
            ]
            self._pumps.update(pumps)
            try:
                # One end gone, both gone.
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                self._pumps.difference_update(pumps)
                to_server.transport.abort()
                self._wires.discard(to_server)
        finally:
            writer.transport.abort()
            self._wires.discard(writer)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                await passes.wait()
                writer.write(chunk)
                await writer.drain()
