"""Promises of the design that were broken once, each found by a reader of the code."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import Column, ForeignKey, Integer, Table, insert

from skyhold.kernel.background import Background
from skyhold.kernel.batcher import Batcher
from skyhold.kernel.client import PyreqwestTransport, Unknown
from skyhold.kernel.columns import ExactText, Key, metadata
from skyhold.kernel.db import Dangling, Database
from skyhold.kernel.http.routes import Routes
from skyhold.kernel.messaging import Event
from skyhold.kernel.money import Money, WireMoney
from skyhold.kernel.outbox import Outbox, outbox_table
from skyhold.kernel.relay import Relay
from skyhold.kernel.settings import SettingsError, secret

router = Routes()


@router.get("/boom")
async def boom() -> None:
    raise RuntimeError("hunter2")


@router.post("/price")
async def price(body: WireMoney) -> None: ...


@pytest.fixture
async def http(serve):
    return await serve(router)


async def test_what_goes_wrong_inside_is_problem_json(http, logged):
    reply = await http.get("/boom")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == "internal_error"


METADATA = metadata()
OUTBOX = outbox_table(METADATA, "events")


class Bus:
    connected, lanes = True, 1

    def __init__(self, refuses=(), raises=()):
        self.told, self.refuses, self.raises = [], set(refuses), set(raises)

    async def publish(self, event):
        if event.id in self.raises:
            raise ConnectionError
        if event.id in self.refuses:
            return False
        self.told.append((event.subject, event.sequence))
        return True


@pytest.fixture
async def told(db, clock):
    """Tell these events with this bus, in so many rounds."""
    await db.run_sync(METADATA.create_all)

    async def tell(bus, *events, rounds=1):
        made = [Event(id, "t", on, n, {}, clock.now()) for id, on, n in events]
        outbox = Outbox(OUTBOX, source="/skyhold/test")
        await db.transact(lambda tx: outbox.add(tx, *made))
        relay = Relay(db, outbox, bus, clock, round_max=3)
        for _ in range(rounds):
            with suppress(ConnectionError):
                await relay.run_once()
            bus.refuses.clear()
        return bus.told

    return tell


async def test_a_refused_event_holds_back_the_later_ones_of_its_subject(told, logged):
    found = await told(Bus(refuses=["a"]), ("a", "s", 1), ("b", "s", 2), rounds=3)
    assert found == [("s", 1), ("s", 2)]


async def test_three_events_of_one_subject_are_told_in_sequence(told):
    found = await told(Bus(), ("m", "s", 1), ("b", "s", 2), ("x", "s", 3), rounds=3)
    assert found == [("s", 1), ("s", 2), ("s", 3)]


async def test_a_bus_that_raises_for_one_event_does_not_stop_the_others(told):
    found = await told(Bus(raises=["b"]), ("a", "1", 1), ("b", "2", 1), ("c", "3", 1), rounds=3)
    assert found == [("1", 1), ("3", 1)]


async def test_a_batch_with_too_few_results_leaves_no_caller_waiting():
    async def too_few(_items):
        return []

    caller = asyncio.create_task(Batcher(too_few, name="b").submit("a"))
    done, _ = await asyncio.wait([caller], timeout=0.2)
    caller.cancel()
    assert done


async def test_a_close_that_is_cut_off_does_not_cut_off_the_batch():
    gate = asyncio.Event()

    async def run(items):
        await gate.wait()
        return list(items)

    batcher = Batcher(run, name="b")
    caller = asyncio.create_task(batcher.submit("a"))
    await asyncio.sleep(0.01)
    with suppress(TimeoutError):
        await asyncio.wait_for(batcher.close(), 0.01)
    gate.set()
    done, _ = await asyncio.wait([caller], timeout=0.2)
    caller.cancel()
    assert done


async def test_who_went_away_does_not_count_as_waiting():
    gate = asyncio.Event()

    async def run(items):
        await gate.wait()
        return list(items)

    batcher = Batcher(run, name="b", waiting_max=1)
    first = asyncio.create_task(batcher.submit("a"))
    await asyncio.sleep(0.01)
    gone = asyncio.create_task(batcher.submit("b"))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0.01)
    third = asyncio.create_task(batcher.submit("c"))
    await asyncio.sleep(0.01)
    gate.set()
    assert await asyncio.gather(first, third, return_exceptions=True) == ["a", "c"]


async def test_an_error_of_the_database_does_not_carry_what_was_written(db):
    tables = metadata()
    Table("users", tables, Column("id", Integer, primary_key=True))
    logins = Table(
        "logins",
        tables,
        Column("id", Key(36), primary_key=True),
        Column("user_id", Integer, ForeignKey("users.id")),
        Column("email", ExactText(100)),
    )
    await db.run_sync(tables.create_all)
    with pytest.raises(Dangling) as refusal:
        await db.transact(
            lambda tx: tx.run(insert(logins).values(id="a", user_id=7, email="ada@example.com"))
        )
    assert "ada@example.com" not in f"{refusal.value} {refusal.value.__cause__}"


@pytest.mark.parametrize("url", ["nonsense", "mysql://ada:hunter2@db:port/skyhold"])
def test_a_url_that_is_none_is_refused_in_a_sentence(url):
    with pytest.raises(SettingsError):
        Database(url)


@pytest.mark.parametrize("kept", ["", "short"])
def test_a_short_secret_in_the_file_is_refused_too(tmp_path, kept):
    (tmp_path / "jwt_secret").write_text(kept)
    with pytest.raises(SettingsError):
        secret(None, name="jwt_secret", data_dir=tmp_path)


async def test_the_type_of_every_problem_leads_to_its_explanation(http):
    for reply in (
        await http.get("/price"),
        await http.post("/words", content=b"x" * 5_000),
    ):
        assert (await http.get(reply.json()["type"])).status_code == 200


@pytest.mark.parametrize("wrong", [{"amount": "hunter2"}, {"currency": "hunter2"}], ids=repr)
async def test_money_that_is_none_is_not_repeated(http, wrong):
    reply = await http.post("/price", json={"amount": "1.00", "currency": "USD"} | wrong)
    assert reply.status_code == 422
    assert "hunter2" not in reply.text


async def test_an_application_that_fails_is_unknown():
    async def failing(_scope, _receive, _send):
        raise RuntimeError

    transport = PyreqwestTransport("http://x.internal", timeout_s=1, app=failing)
    with pytest.raises(Unknown):
        await transport.send("GET", "/", {}, None)


async def test_after_draining_nothing_runs():
    background, ended = Background(), []

    async def endless():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("it")

    background.spawn(endless(), name="endless")
    await background.drain(timeout_s=0.01)
    assert ended == ["it"]


def test_the_largest_amount_is_read_back_in_every_currency():
    money = Money(10**12, "JPY")
    assert Money.parse(money.amount, "JPY") == money
