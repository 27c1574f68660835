"""The fault proxy does what its faults are called, and nothing when it means no harm."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from . import proxy
from .http import read_request
from .mischief import MIX, Mischief, decide
from .proxy import DUPLICATED, Link
from .run import Run

PATIENCE_S = 0.3


class Service:
    """Answers every request with JSON, and remembers in which order they came."""

    async def start(self):
        self.heard = []
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        request = await read_request(reader)
        self.heard.append(request.start.split()[1])
        body = json.dumps({"says": "what is said is more than a few bytes long"}).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


@pytest.fixture
async def service():
    service = Service()
    await service.start()
    yield service
    service.server.close()


@pytest.fixture
def faults(tmp_path):
    journal = Run(tmp_path, 1, "sqlite", 1, "", "", "", 1, 1, 1, None, "", 0.0).journal("faults")
    yield journal
    journal.close()


@pytest.fixture
async def link(service, faults):
    link = Link("a→b", [service.port], seed=1, patience_s=PATIENCE_S, faults=faults)
    await link.start()
    yield link
    await link.close()


@pytest.fixture
async def client(link):
    async with httpx.AsyncClient(base_url=link.url, timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture
def spoil(link, monkeypatch):
    """Do this to the first request, and nothing to the others."""

    def spoil(kind, *, flip=False, status=500):
        mischief = Mischief(kind, 0.05, 1, 0.5, status, flip)
        link.means_harm = True
        monkeypatch.setattr(
            proxy, "decide", lambda _seed, _link, number, *_: mischief if number == 1 else None
        )

    return spoil


async def test_nothing_happens_while_it_means_no_harm(link, service, client):
    for number in range(50):
        assert (await client.get(f"/{number}")).json()
    assert service.heard == [f"/{number}" for number in range(50)]


@pytest.mark.parametrize(("kind", "heard"), [("drop_request", []), ("drop_answer", ["/"])])
async def test_what_is_dropped_is_never_answered(service, client, spoil, kind, heard):
    spoil(kind)
    with pytest.raises(httpx.ReadTimeout):
        await client.get("/")
    assert service.heard == heard


async def test_a_late_answer_comes_after_its_client_gave_up(service, link, spoil):
    spoil("late_answer")
    async with httpx.AsyncClient(base_url=link.url, timeout=5) as patient:
        began = asyncio.get_running_loop().time()
        assert (await patient.get("/")).is_success
        assert asyncio.get_running_loop().time() - began > PATIENCE_S
    assert service.heard == ["/"]


@pytest.mark.parametrize("one_after_the_other", [True, False])
async def test_a_duplicate_is_heard_twice_and_says_so(service, client, spoil, one_after_the_other):
    spoil("duplicate", flip=one_after_the_other)
    reply = await client.get("/")
    assert (reply.status_code, DUPLICATED in reply.headers) == (200, True)
    assert service.heard == ["/", "/"]


async def test_a_request_that_is_held_back_is_overtaken(service, link, spoil):
    spoil("reorder")
    async with httpx.AsyncClient(base_url=link.url, timeout=5) as patient:
        first = asyncio.create_task(patient.get("/1"))
        while not link.requests:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await patient.get("/2")
        assert (await first).is_success
    assert service.heard == ["/2", "/1"]


@pytest.mark.parametrize("kind", ["cut", "truncate"])
async def test_an_answer_ends_in_the_middle(service, client, spoil, kind):
    spoil(kind)
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/")
    assert service.heard == ["/"]


async def test_a_truncated_answer_may_look_whole(service, client, spoil):
    spoil("truncate", flip=True)
    reply = await client.get("/")
    assert reply.status_code == 200
    with pytest.raises(ValueError, match="Unterminated"):
        reply.json()


@pytest.mark.parametrize(("kind", "heard"), [("error_before", []), ("error_after", ["/"])])
async def test_an_error_comes_before_or_after_the_deed(service, client, spoil, kind, heard):
    spoil(kind, status=502)
    assert (await client.get("/")).status_code == 502
    assert service.heard == heard


async def test_nothing_gets_through_to_a_parted_service_until_it_is_healed(service, link, client):
    link.part([service.port])
    with pytest.raises(httpx.ReadTimeout):
        await client.get("/1")
    link.heal()
    await client.get("/2")
    assert service.heard == ["/2"]


async def test_a_service_that_is_down_is_passed_over(service, faults):
    nobody = 1
    link = Link("a→b", [nobody, service.port], seed=1, patience_s=1, faults=faults)
    await link.start()
    async with httpx.AsyncClient(base_url=link.url) as client:
        assert [(await client.get("/")).status_code for _ in range(4)] == [200] * 4
    await link.close()


def test_a_seed_plans_the_same_faults_for_the_same_requests():
    def plan(seed, link):
        return [decide(seed, link, number) for number in range(500)]

    assert plan(1, "a→b") == plan(1, "a→b")
    assert plan(1, "a→b") != plan(2, "a→b")
    assert plan(1, "a→b") != plan(1, "b→c")
    assert {mischief.kind for mischief in plan(1, "a→b") if mischief} == MIX.keys()
