"""A stand-in for Stripe: localstripe, with what it lacks in front of it, in a process of its own.

    python -m support.stripe_stand_in PORT

Idempotency keys as Stripe keeps them, the present form of confirming and refunding, lists, the
search; and, for tests, answers that are lost, late or errors (`POST /_stand_in/…`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import localstripe.resources
import localstripe.server
from aiohttp import web

from support.stripe_gaps import (
    CANCELLABLE,
    CARDS,
    CONFIRMABLE,
    Refusal,
    check_new,
    found,
    page,
    refundable,
    tidied,
    unexpected,
)

API_KEY = "sk_test_stand_in"
SLOW_S = 30.0
Params = dict[str, str]
Answer = tuple[int, dict[str, Any]]
NOT_KEPT = {401, 409, 429}  # refused before Stripe looks at the key
# Faults before anything is done; after it there are `lose_answer` and `500_after`.
SPOILT = {"lose_request", "slow", "garbage", "refuse", "empty"} | {
    "401",
    "403",
    "409",
    "429",
    "500",
}


class StandIn:
    """What it remembers, and what it does with each request."""

    def __init__(self, url: str, inner: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.inner = inner
        self.http = http
        self.kept: dict[str, tuple[Any, Answer]] = {}
        self.under_way: set[str] = set()
        self.faults: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.actions: dict[str, dict[str, Any]] = {}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One request to Stripe's API."""
        op = operation(request.method, request.path)
        params: Params = {str(k): str(v) for k, v in (await request.post()).items()}
        if "X-Test" in request.headers:  # the test itself looks, or acts as somebody else
            answer, replayed = await self._once(request, op, params, fails=False)
            return reply(answer, replayed=replayed)
        self.requests.append(
            {
                "op": op,
                "path": request.path,
                "key": request.headers.get("Idempotency-Key"),
                "params": params or dict(request.query),
                "headers": dict(request.headers),
            }
        )
        fault = self._fault_for(op)
        if fault in SPOILT:
            return await spoilt(request, fault)
        if request.headers.get("Authorization") != f"Bearer {API_KEY}":
            return reply((401, Refusal("api_key_invalid").body))
        answer, replayed = await self._once(request, op, params, fails=fault == "500_after")
        if fault == "lose_answer":
            return lost(request)
        return reply(answer, replayed=replayed)

    async def _once(
        self, request: web.Request, op: str, params: Params, *, fails: bool
    ) -> tuple[Answer, bool]:
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        asked = (request.path, params)
        if key in self.kept:
            first, answer = self.kept[key]
            if first != asked:
                return (400, Refusal("idempotency_key", kind="idempotency_error").body), False
            return answer, True
        if key in self.under_way:
            return (409, Refusal("idempotency_key_in_use", kind="idempotency_error").body), False
        if key is not None:
            self.under_way.add(key)
        try:
            answer = await self._carried_out(request, op, params)
        except Refusal as error:
            answer = error.status, error.body
        finally:
            self.under_way.discard(key or "")
        if fails:
            answer = 500, Refusal("api_error", kind="api_error").body
        if key is not None and answer[0] not in NOT_KEPT:
            self.kept[key] = asked, answer
        return answer, False

    async def _carried_out(self, request: web.Request, op: str, params: Params) -> Answer:
        given = params | dict(request.query)
        expand = [v for k, v in given.items() if k.startswith("expand")]
        params = {k: v for k, v in given.items() if not k.startswith("expand")}
        intent_id = request.path.split("/")[3] if request.path.count("/") > 2 else ""
        match op:
            case "create":
                answer = await self._inner("POST", request.path, check_new(params))
            case "confirm":
                answer = await self._confirm(intent_id, params)
            case "capture" | "cancel":
                allowed = CANCELLABLE if op == "cancel" else {"requires_capture"}
                await self._expect(intent_id, allowed)
                answer = await self._inner("POST", request.path, params)
            case "refund":
                return await self._refund(params)
            case "list":
                answer = 200, page(await self._all(), params)
            case "search":
                answer = 200, found(await self._all(), params["query"])
            case _:
                answer = await self._inner(request.method, request.path, params)
        return self._tidied(answer, expand)

    async def _confirm(self, intent_id: str, params: Params) -> Answer:
        await self._expect(intent_id, CONFIRMABLE)
        token = params["payment_method"]
        if (number := CARDS.get(token)) is not None:
            card = {"number": number, "exp_month": "12", "exp_year": "2030", "cvc": "123"}
            fields = {f"card[{name}]": value for name, value in card.items()}
            _, made = await self._inner("POST", "/v1/payment_methods", {"type": "card"} | fields)
            token = made["id"]
        elif (await self._inner("GET", f"/v1/payment_methods/{token}", {}))[0] != 200:
            raise Refusal("resource_missing")
        path = f"/v1/payment_intents/{intent_id}"
        await self._inner("POST", path, {"payment_method": token})
        if return_url := params.get("return_url"):
            redirect = {"url": f"{self.url}/3ds/{intent_id}", "return_url": return_url}
            self.actions[intent_id] = {"type": "redirect_to_url", "redirect_to_url": redirect}
        return await self._inner("POST", f"{path}/confirm", {})

    async def _refund(self, params: Params) -> Answer:
        intent = await self._intent(params["payment_intent"])
        charge = intent["latest_charge"]
        left = refundable(intent, charge["refunds"]["data"] if charge else [])
        # localstripe takes charge.amount_refunded for refunds of any status; nobody looks at it.
        status, refund = await self._inner("POST", "/v1/refunds", params | {"amount": str(left)})
        if (fate := self._fault_for("refund_fate")) is not None:
            status, refund = await self._inner(
                "POST", f"/v1/refunds/{refund['id']}", {"status": fate}
            )
        return status, refund

    async def challenge(self, request: web.Request) -> web.Response:
        """The page of a card's bank, with `?answer=approve` or `refuse` instead of buttons."""
        intent_id = request.match_info["id"]
        intent = await self._intent(intent_id)
        await self._inner(
            "POST",
            f"/v1/payment_intents/{intent_id}/_authenticate",
            {
                "client_secret": intent["client_secret"],
                "success": str(request.query["answer"] == "approve").lower(),
                "key": "pk_test_stand_in",
            },
        )
        raise web.HTTPSeeOther(self.actions[intent_id]["redirect_to_url"]["return_url"])

    async def control(self, request: web.Request) -> web.Response:
        """What a test asks for."""
        match request.match_info["what"]:
            case "fault":
                self.faults.append(await request.json())
            case "calm":
                for memory in (self.faults, self.requests, self.kept, self.actions):
                    memory.clear()
                await self._inner("DELETE", "/_config/data", {})
            case "mend":
                self.faults.clear()
            case "forget_keys":
                self.kept.clear()
            case "requests":
                return web.json_response(self.requests)
            case "inner":
                asked = await request.json()
                status, body = await self._inner("POST", asked["path"], asked["params"])
                return web.json_response(body, status=status)
        return web.json_response({})

    def _fault_for(self, op: str) -> str | None:
        for fault in self.faults:
            if fault["op"] != op:
                continue
            if fault["skip"]:
                fault["skip"] -= 1
            else:
                fault["times"] -= 1
                if fault["times"] == 0:
                    self.faults.remove(fault)
                return str(fault["fault"])
        return None

    def _tidied(self, answer: Answer, expand: list[str]) -> Answer:
        status, body = answer
        if body.get("object") == "payment_intent":
            return status, tidied(body, expand, self.actions.get(body["id"]))
        if body.get("object") in {"list", "search_result"} and "url" in body:
            inside = [path.removeprefix("data.") for path in expand]
            intents = [
                tidied(item, inside, self.actions.get(item["id"]))
                if item["object"] == "payment_intent"
                else item
                for item in body["data"]
            ]
            return status, body | {"data": intents}
        return answer

    async def _expect(self, intent_id: str, statuses: set[str]) -> None:
        intent = await self._intent(intent_id)
        if intent["status"] not in statuses:
            raise unexpected(intent["status"])

    async def _intent(self, intent_id: str) -> dict[str, Any]:
        status, intent = await self._inner("GET", f"/v1/payment_intents/{intent_id}", {})
        if status != 200:
            raise Refusal("resource_missing", status=404)
        return intent

    async def _all(self) -> list[dict[str, Any]]:
        _, listed = await self._inner("GET", "/v1/payment_intents", {"limit": "1000000"})
        data: list[dict[str, Any]] = listed["data"]
        return data

    async def _inner(self, method: str, path: str, params: Params) -> Answer:
        """Ask localstripe."""
        given = {"params": params} if method == "GET" else {"data": params}
        headers = {"Authorization": f"Bearer {API_KEY}"}
        async with self.http.request(
            method, self.inner + path, headers=headers, **given
        ) as response:
            return response.status, json.loads(await response.text() or "{}")


def operation(method: str, path: str) -> str:
    """The name of a request, by which faults are ordered."""
    last = path.rsplit("/", 1)[-1]
    if path.startswith("/v1/refunds"):
        return "refund" if method == "POST" else "refunds"
    if method == "GET":
        return {"payment_intents": "list", "search": "search"}.get(last, "retrieve")
    return {"payment_intents": "create"}.get(last, last)


def reply(answer: Answer, *, replayed: bool = False) -> web.Response:
    """An answer of Stripe's."""
    status, body = answer
    headers = {"Request-Id": "req_stand_in"} | ({"Idempotent-Replayed": "true"} if replayed else {})
    return web.json_response(body, status=status, headers=headers)


async def spoilt(request: web.Request, fault: str) -> web.StreamResponse:
    """An answer that says nothing about the payment."""
    match fault:
        case "slow":
            await asyncio.sleep(SLOW_S)
            return lost(request)
        case "lose_request":
            return lost(request)
        case "garbage":
            return web.Response(text="<html>one moment please</html>")
        case "empty":
            return reply((200, found([], "metadata['a']:'b'")))
        case "refuse":
            return reply((400, Refusal("refused").body))
        case _:
            return reply((int(fault), Refusal(f"error_{fault}").body))


def lost(request: web.Request) -> web.StreamResponse:
    """The connection breaks before the answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def run(port: int) -> None:
    """Serve until the process is ended."""
    # It would be kept in one file for everybody on this machine.
    localstripe.resources.Store.dump_to_disk = lambda _: None
    inside = await _serve(localstripe.server.app, 0)
    async with aiohttp.ClientSession() as http:
        stand_in = StandIn(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{inside}", http)
        app = web.Application()
        app.router.add_route("*", "/_stand_in/{what}", stand_in.control)
        app.router.add_get("/3ds/{id}", stand_in.challenge)
        app.router.add_post("/_config/webhooks/{id}", _passed_on(stand_in))
        app.router.add_route("*", "/v1/{rest:.*}", stand_in.serve)
        await _serve(app, port)
        print("ready", flush=True)
        await asyncio.Event().wait()


def _passed_on(stand_in: StandIn) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def pass_on(request: web.Request) -> web.Response:
        async with stand_in.http.post(
            stand_in.inner + request.path, json=await request.json()
        ) as response:
            return web.Response(status=response.status)

    return pass_on


async def _serve(app: web.Application, port: int) -> int:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    found_port: int = runner.addresses[0][1]
    return found_port


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1])))
