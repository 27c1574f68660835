"""Calls about holds that are waiting travel in one request, answered item by item.

One that finds nobody waiting goes by itself, as does each of a batch that the flight service will
not have as a whole: an older version of it knows no batches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple, assert_never

from pydantic import ValidationError
from structlog.contextvars import bound_contextvars, get_contextvars

from skyhold.contracts.holds import (
    BATCH_MAX,
    CommandAnswers,
    ConfirmCommand,
    HoldCommand,
    HoldWanted,
    ReleaseCommand,
    WireCommand,
)
from skyhold.kernel.batcher import PATIENCE_S, Batcher
from skyhold.kernel.client import Reply, ServiceClient, Unknown

BATCH = "/api/v1/holds/batch"


class Asked(NamedTuple):
    """A command, and the request in whose course it is asked."""

    command: WireCommand
    request_id: str | None


class Together:
    """Sends commands, as many as are waiting in one request."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._batcher: Batcher[Asked, Reply] = Batcher(
            self._send,
            name="flights",
            batch_max=BATCH_MAX,
            patience_s=PATIENCE_S,
        )

    async def call(self, command: WireCommand) -> Reply:
        """What this command is answered. Raises Unknown, or Overloaded when too many wait."""
        return await self._batcher.submit(Asked(command, get_contextvars().get("request_id")))

    async def close(self) -> None:
        """Let every waiting command have its answer."""
        await self._batcher.close()

    async def _send(self, asked: Sequence[Asked]) -> Sequence[Reply | Exception]:
        if len(asked) > 1:
            try:
                replies = await self._send_together(asked)
            except Unknown as error:
                return [error] * len(asked)
            if replies is not None:
                return replies
        return await asyncio.gather(*map(self._send_alone, asked))

    async def _send_together(self, asked: Sequence[Asked]) -> Sequence[Reply] | None:
        """None when they are to be asked one by one."""
        commands = [dict(one.command) | {"request_id": one.request_id} for one in asked]
        body = {"commands": commands}
        reply = await self._client.call("POST", BATCH, body)
        if reply.status != HTTPStatus.OK:
            return None
        try:
            answers = CommandAnswers.model_validate(reply.body).answers
        except ValidationError as error:
            msg = "answers that are none"
            raise Unknown(msg) from error
        if len(answers) != len(commands):
            msg = f"{len(answers)} answers for {len(commands)} commands"
            raise Unknown(msg)
        return [Reply(answer.status, answer.body) for answer in answers]

    async def _send_alone(self, asked: Asked) -> Reply | Exception:
        method, path, body = _by_itself(asked.command)
        known = {} if asked.request_id is None else {"request_id": asked.request_id}
        with bound_contextvars(booking_id=asked.command.hold_id, **known):
            try:
                return await self._client.call(method, path, body)
            except Unknown as error:
                return error


def _by_itself(command: WireCommand) -> tuple[str, str, HoldWanted | None]:
    """The request that asks for this alone."""
    path = path_of(command.hold_id)
    match command:
        case HoldCommand():
            return "PUT", path, command.wanted
        case ConfirmCommand():
            return "PUT", f"{path}/confirmation", None
        case ReleaseCommand():
            return "DELETE", path + ("?cancel=true" if command.cancel else ""), None
        case _:
            assert_never(command)


def path_of(hold_id: str) -> str:
    """Where a hold is found."""
    return f"/api/v1/holds/{hold_id}"
