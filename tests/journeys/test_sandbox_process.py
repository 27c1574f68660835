"""The sandbox provider as a process of its own: the booking service calls it over HTTP."""

from __future__ import annotations

import signal
import sqlite3
from collections import Counter

import httpx
import pytest

from support.system import (
    eventually,
    free_port,
    start,
    start_servers,
    stop,
    wait_until_ready,
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sandbox")
    server = start("sandbox", free_port(), folder, {"data_dir": str(folder)})
    wait_until_ready(server)
    yield server
    stop(server)


@pytest.fixture(scope="module")
def servers(tmp_path_factory, sandbox):
    folder = tmp_path_factory.mktemp("services")
    servers = start_servers(folder, sandbox_url=sandbox.url)
    yield servers
    for server in (servers.booking, servers.flight):
        stop(server)


@pytest.fixture
async def system(servers):
    async with servers.system() as system:
        yield system


@pytest.fixture
async def alice(system):
    return await system.traveller("Alice")


def movements(sandbox, payment_id):
    """What the provider's own ledger says of a payment."""
    connection = sqlite3.connect(sandbox.log.parent / "sandbox.db")
    rows = connection.execute(
        "SELECT kind FROM sandbox_entries WHERE payment_id = ? ORDER BY seq", [payment_id]
    ).fetchall()
    connection.close()
    return [kind for (kind,) in rows]


async def status_becomes(alice, booking, wanted):
    async def it_is_so():
        return (await alice.get(booking))["status"] == wanted

    await eventually(it_is_so, within_s=30)


async def test_money_is_taken_and_given_back_there(system, alice, sandbox):
    booking = await alice.book(await system.a_flight())
    assert (await alice.pay(booking, "tok_declined")).status == 402
    paid = await alice.pay(booking)
    assert paid.status == 201
    assert movements(sandbox, paid["id"]) == ["authorized", "captured"]
    await alice.cancel(booking)

    async def it_is_given_back():
        return (await alice.get(booking))["payment"]["refund"]["status"] == "succeeded"

    await eventually(it_is_given_back)
    assert movements(sandbox, paid["id"]) == ["authorized", "captured", "refunded"]


async def test_the_payer_is_sent_to_its_page(system, alice, sandbox):
    booking = await alice.book(await system.a_flight())
    paid = await alice.pay(booking, "tok_3ds")
    assert paid.status == 202
    page = paid["next_action"]["url"]
    assert page.startswith(sandbox.url.replace("127.0.0.1", "localhost"))
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        assert "Approve" in (await browser.get(page)).text
        assert "You have approved" in (await browser.post(f"{page}/approve")).text
    await status_becomes(alice, booking, "confirmed")
    # The page belongs to the process that has the ledger.
    there = httpx.URL(page).path
    assert (await system.bookings_http.get(there)).status_code == 404


async def test_while_it_stands_still_nothing_is_known_and_afterwards_it_is_paid_once(
    system, alice, sandbox
):
    booking = await alice.book(await system.a_flight())
    sandbox.process.send_signal(signal.SIGSTOP)
    try:
        paid = await alice.pay(booking, key="once")
        assert (paid.status, paid["next_action"]) == (202, None)
    finally:
        sandbox.process.send_signal(signal.SIGCONT)
    await status_becomes(alice, booking, "confirmed")
    assert (await alice.pay(booking, key="once")).status == 200
    assert Counter(movements(sandbox, paid["id"])) == {"authorized": 1, "captured": 1}
