"""A broker of several nodes: who does not find it at one address looks at the next.

Whoever found it stays there. The client library by itself goes back to the same address for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import cycle
from typing import Any

from aio_pika import RobustConnection
from aio_pika.connection import make_url
from faststream.rabbit import RabbitBroker
from yarl import URL


class RoamingBroker(RabbitBroker):
    """A broker that is looked for at the next address whenever it was not found, or is lost."""

    def __init__(self, turn: Turn, **more: Any) -> None:  # noqa: ANN401 - what RabbitBroker takes
        super().__init__(turn.first, **more)
        # FastStream hands on to the client library only what it knows, and this it does not.
        self._connection_kwargs["connection_class"] = partial(_Roaming, turn)

    async def leave(self) -> None:
        """Give up the connection, and with it its channels; it is opened anew by itself."""
        connection = await self.connect()
        if isinstance(connection, _Roaming):
            await connection.leave()


class Turn:
    """Whose turn it is; shared by all connections that look for one broker."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.first = urls[0]
        self._next = cycle([make_url(url) for url in urls])

    def next(self) -> URL:
        """The address to try now."""
        return next(self._next)


class _Roaming(RobustConnection):
    """Asks for its address once at each attempt, and is given the next one."""

    def __init__(self, turn: Turn, url: URL, **more: Any) -> None:  # noqa: ANN401 - the library's
        self._turn: Turn | None = None  # while its query is read, which all have in common
        super().__init__(url, **more)
        self._turn = turn

    @property
    def url(self) -> URL:
        return self._given if self._turn is None else self._turn.next()

    @url.setter
    def url(self, given: URL) -> None:
        self._given = given

    def __str__(self) -> str:
        return "RabbitMQ"  # the library's own asks for the address, and so would take a turn

    async def leave(self) -> None:
        """Give up this connection; the library then opens one to the next address."""
        if self.transport is not None:
            await self.transport.connection.close(ConnectionError("nothing was confirmed"))
