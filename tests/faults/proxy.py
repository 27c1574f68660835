"""A fault proxy: a load balancer between two parts of the system that means them no good."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from .http import Broken, Message, answer, read_answer, read_request
from .mischief import MIX, Mischief, decide
from .run import Journal

UPSTREAM_MAX_S = 60.0
HELD_BACK_MAX_S = 4.0
SILENCE_MAX_S = 20.0
DUPLICATED = "x-rig-duplicated"
OP = "x-rig-op"


class Silence(Exception):
    """No answer, whatever was done; the connection stays open until its client gives up."""


class Cut(Exception):
    """The connection ends here, after these bytes."""

    def __init__(self, said: bytes = b"") -> None:
        super().__init__(said)
        self.said = said


class Link:
    """One way through the system: from a kind of client to the instances of a service.

    `patience_s` is how long its clients wait for an answer. Requests are spread over the targets
    in turn; one that refuses connections is passed over, as any balancer does. `wire` is told of
    every exchange with a target.
    """

    def __init__(
        self,
        name: str,
        targets: Sequence[int],
        *,
        seed: int,
        patience_s: float,
        faults: Journal,
        scale: float = 1.0,
        wire: Journal | None = None,
        mix: Mapping[str, float] | None = None,
    ) -> None:
        self.name = name
        self.targets = tuple(targets)
        self.means_harm = False
        self.requests = 0
        self._seed, self._scale = seed, scale
        self._mix = MIX if mix is None else mix
        self._patience_s = patience_s
        self._faults = faults
        self._wire = wire
        self._parted: frozenset[int] = frozenset()
        self._turn = itertools.count()
        self._passed = asyncio.Condition()
        self._passed_count = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        """Where its clients find the service."""
        assert self._server is not None, "it does not listen yet"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def close(self) -> None:
        """Drop everything."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def part(self, targets: Sequence[int]) -> None:
        """From now on nothing gets through to these, nor back."""
        self._parted = frozenset(targets)

    def heal(self) -> None:
        """Everything gets through again."""
        self._parted = frozenset()

    # --- a connection ------------------------------------------------------------------------

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._spawn(self._serve(reader, writer))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await read_request(reader):
                # Its client may give up; what is on its way to a service arrives all the same.
                said = await asyncio.shield(self._spawn(self._treat(request)))
                writer.write(said.with_fields(connection="keep-alive").to_bytes())
                await writer.drain()
                if not (request.wants_more and said.is_whole):
                    break
        except Silence:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(SILENCE_MAX_S):
                    await reader.read()
        except Cut as cut:
            with suppress(OSError):
                writer.write(cut.said)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    # --- a request ---------------------------------------------------------------------------

    async def _treat(self, request: Message) -> Message:
        number = self.requests = self.requests + 1
        mischief = None
        if self.means_harm:
            mischief = decide(self._seed, self.name, number, self._scale, self._mix)
        if mischief is None:
            return await self._pass(request)
        self._note(mischief, number, request)
        return await self._spoil(mischief, request)

    async def _spoil(self, mischief: Mischief, request: Message) -> Message:
        """What comes before it is carried out, or instead."""
        match mischief.kind:
            case "drop_request":
                raise Silence
            case "error_before":
                return _error(mischief)
            case "delay":
                await asyncio.sleep(mischief.pause_s)
            case "reorder":
                await self._hold_back(mischief.overtakers)
            case "duplicate":
                return await self._pass_twice(mischief, request)
        return await self._spoil_answer(mischief, await self._pass(request))

    async def _spoil_answer(self, mischief: Mischief, said: Message) -> Message:
        match mischief.kind:
            case "drop_answer":
                raise Silence
            case "late_answer":
                await asyncio.sleep(self._patience_s + mischief.pause_s)
            case "error_after":
                return _error(mischief)
            case "cut":
                whole = said.to_bytes()
                raise Cut(whole[: int(len(whole) * mischief.share)])
            case "truncate":
                return _truncated(said, mischief)
        return said

    async def _pass(self, request: Message) -> Message:
        """To one of the targets, and what that one says."""
        async with self._passed:
            self._passed_count += 1
            self._passed.notify_all()
        for _ in self.targets:
            port = self.targets[next(self._turn) % len(self.targets)]
            if port in self._parted:
                raise Silence
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
            began = time.monotonic()
            try:
                async with asyncio.timeout(UPSTREAM_MAX_S):
                    writer.write(request.with_fields(connection="close").to_bytes())
                    await writer.drain()
                    said = await read_answer(reader)
            except (OSError, TimeoutError, Broken) as error:
                raise Cut from error
            finally:
                writer.transport.abort()
            self._witness(began, request, said)
            if port in self._parted:
                raise Silence
            return said
        raise Cut

    async def _pass_twice(self, mischief: Mischief, request: Message) -> Message:
        """At once or one after the other; the answer is that of either."""
        first = self._spawn(self._pass(request))
        if mischief.flip:
            await asyncio.sleep(mischief.pause_s)
        second = self._spawn(self._pass(request))
        await asyncio.wait([first, second])
        heard, unheard = (second, first) if mischief.share > 0.5 else (first, second)
        unheard.exception()  # is looked at, and that is all
        return heard.result().with_fields(**{DUPLICATED: "yes"})

    async def _hold_back(self, overtakers: int) -> None:
        """Until so many later requests went ahead, or there are none."""
        until = self._passed_count + overtakers
        with suppress(TimeoutError):
            async with asyncio.timeout(HELD_BACK_MAX_S), self._passed:
                await self._passed.wait_for(lambda: self._passed_count >= until)

    def _witness(self, began: float, request: Message, said: Message) -> None:
        """What the service really heard and answered, whatever becomes of the answer."""
        if self._wire is not None and said.is_whole:
            times = {"began": began, "ended": time.monotonic()}
            for method, path, status in _calls(request, said):
                self._wire.write(times | {"method": method, "path": path, "status": status})

    def _note(self, mischief: Mischief, number: int, request: Message) -> None:
        method, path, _ = request.start.split(" ", 2)
        detail = {"request": number, "to": f"{method} {path}", "op": request.headers.get(OP)}
        line = {"at": time.time(), "kind": mischief.kind, "where": self.name, "detail": detail}
        self._faults.write(line)


def _calls(request: Message, said: Message) -> Iterator[tuple[str, str, int]]:
    """What was asked and answered: of a batch each of its commands, as if it had come alone."""
    method, path, _ = request.start.split(" ", 2)
    if path != "/api/v1/holds/batch" or said.status != 200:
        yield method, path, said.status
        return
    commands, answers = json.loads(request.body)["commands"], json.loads(said.body)["answers"]
    for command, answered in zip(commands, answers, strict=True):
        place = f"/api/v1/holds/{command['hold_id']}"
        what = {
            "hold": ("PUT", place),
            "confirm": ("PUT", f"{place}/confirmation"),
            "release": ("DELETE", place + ("?cancel=true" if command.get("cancel") else "")),
        }
        yield *what[command["do"]], answered["status"]


def _error(mischief: Mischief) -> Message:
    if mischief.flip:
        return answer(mischief.status, b"<h1>out of order</h1>")
    return answer(mischief.status, b'{"code": "fault"}', "application/problem+json")


def _truncated(said: Message, mischief: Mischief) -> Message:
    short = said.with_body(said.body[: int(len(said.body) * mischief.share)])
    if mischief.flip:  # the headers agree with what is left
        return short.with_fields(content_length=str(len(short.body)))
    raise Cut(short.to_bytes())
