"""What the buyers and the staff ask of the services, written down before and after."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from .proxy import DUPLICATED, OP
from .run import Journal

CLIENT_ERRORS = range(400, 500)
ACKNOWLEDGED = range(200, 300)


@dataclass(frozen=True)
class Told:
    """How a request ended: `ok`, a definite `fail`, or `unknown`."""

    type: str
    status: int | None
    code: str | None
    body: Mapping[str, Any]


class Desk:
    """Sends requests, one operation each, and keeps the history."""

    def __init__(self, history: Journal, http: httpx.AsyncClient) -> None:
        self.counts: Counter[str] = Counter()
        self.last_ok_at = time.monotonic()
        self._history = history
        self._http = http
        self._numbers = itertools.count(1)

    async def ask(
        self,
        buyer: str,
        f: str,
        method: str,
        url: str,
        *,
        bearer: str | None,
        json: Any = None,
        key: str | None = None,
        **facts: Any,
    ) -> Told:
        """One request; `facts` are what the history is to say of it."""
        op = next(self._numbers)
        line = {"op": op, "buyer": buyer, "f": f, "key": key, **facts}
        self._write(line, "invoke")
        headers = {OP: str(op)}
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        if key is not None:
            headers["idempotency-key"] = key
        try:
            reply = await self._http.request(method, url, json=json, headers=headers)
        except httpx.HTTPError as error:
            told, duplicated = Told("unknown", None, type(error).__name__, {}), False
        except asyncio.CancelledError:
            self._write(line, "unknown")
            raise
        else:
            duplicated = DUPLICATED in reply.headers
            # Of two that ran, each without a key, one may be refused because of the other.
            told = _told(reply, unsure=duplicated and key is None)
        self.counts[told.type] += 1
        if told.type == "ok":
            self.last_ok_at = time.monotonic()
        more = {"status": told.status, "code": told.code, "body": dict(told.body) or None}
        if duplicated:
            more["duplicated"] = True
        if f == "book" and told.type == "ok":
            more["booking_id"] = told.body.get("id")
        self._write(line | more, told.type)
        return told

    def _write(self, line: Mapping[str, Any], kind: str) -> None:
        self._history.write({"at": time.time(), "t": time.monotonic(), "type": kind, **line})


def _told(reply: httpx.Response, *, unsure: bool) -> Told:
    if reply.is_redirect:  # the provider's page, which says so in its own way
        return Told("ok", reply.status_code, None, {})
    try:
        body = reply.json()
        assert isinstance(body, dict)
    except (ValueError, AssertionError):
        return Told("unknown", reply.status_code, None, {})
    code = body.get("code")
    if reply.status_code in ACKNOWLEDGED:
        return Told("ok", reply.status_code, None, body)
    definite = reply.status_code in CLIENT_ERRORS and isinstance(code, str) and not unsure
    return Told("fail" if definite else "unknown", reply.status_code, code, body)
