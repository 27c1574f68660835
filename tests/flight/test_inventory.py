"""`GET /holds` and `PUT /holds/{id}/claims`: what another service compares, and what is mended."""

from __future__ import annotations

import itertools

import pytest
import pytest_asyncio
from sqlalchemy import delete, insert, update

from skyhold.contracts.holds import IDS_MAX, PAGE_MAX
from skyhold.flight.models.tables import HoldRow, SeatClaimRow
from skyhold.flight.services import inventory as module
from skyhold.kernel.ids import derived_id
from support.traveller import Reply

_numbers = itertools.count(1)


@pytest_asyncio.fixture(loop_scope="module")
async def client(inside):
    """A service that has no holds yet; what is claimed for nobody's holds is gone."""
    await change(inside, delete(SeatClaimRow))
    return f"client-{next(_numbers)}"


@pytest_asyncio.fixture(loop_scope="module")
async def flight(inside):
    return await inside.a_flight()


async def change(inside, *statements):
    async def work(tx):
        for statement in statements:
            await tx.run(statement)

    await inside.flights.db.transact(work)


def an_id(number: int) -> str:
    return derived_id(str(number))


@pytest.fixture
def hold(inside, client, flight):
    """Hold seats as this client; answers the hold's id."""

    async def hold(*seats, id=None, confirmed=False, ttl_s=600, by=client) -> str:
        id = id or an_id(next(_numbers))
        which = {"seats": list(seats)} if seats else {"count": 1}
        body = {"segments": [{"flight_id": flight} | which], "ttl_s": ttl_s}
        assert (await inside.hold("PUT", id, body, client=by)).status == 201
        if confirmed:
            assert (await inside.hold("PUT", f"{id}/confirmation", client=by)).status == 200
        return id

    return hold


@pytest.fixture
def listed(inside, client):
    """All pages of holds, as this client sees them."""

    async def listed(limit=PAGE_MAX, by=client):
        found, after = [], ""
        while True:
            page = await ask(inside, f"?limit={limit}{after}", by)
            assert page.status == 200, page.body
            assert sum(one["status"] is not None for one in page["data"]) <= limit
            found += page["data"]
            if page["next"] is None:
                return found
            after = f"&after={page['next']}"

    return listed


async def ask(inside, query, client) -> Reply:
    reply = await inside.flights_http.get(f"/api/v1/holds{query}", headers=inside.service(client))
    return Reply.of(reply)


def claim(flight, seat, hold_id):
    row = {"flight_id": flight, "seat": seat, "cabin": "economy", "hold_id": hold_id}
    return insert(SeatClaimRow).values(row)


def seats(flight, *numbers):
    return [{"flight_id": flight, "seats": list(numbers)}] if numbers else []


# --- the list -----------------------------------------------------------------------------------


async def test_a_hold_is_told_with_its_seats_and_nothing_is_amiss(inside, hold, listed, flight):
    id = await hold("9C", "9A", confirmed=True)
    (told,) = await listed()
    assert told == {
        "hold_id": id,
        "status": "confirmed",
        "age_s": told["age_s"],
        "over_s": None,
        "segments": seats(flight, "9A", "9C"),
        "unclaimed": [],
        "surplus": [],
    }
    assert 0 <= told["age_s"] <= 60


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
async def test_all_come_in_the_order_of_their_ids_whatever_the_page(hold, listed, limit):
    ids = [await hold() for _ in range(7)]
    assert [told["hold_id"] for told in await listed(limit)] == sorted(ids)


async def test_ended_ones_are_told_too(inside, hold, listed, client):
    ids = [await hold() for _ in range(2)]
    await inside.hold("DELETE", ids[0], client=client)
    buried = an_id(next(_numbers))
    await inside.hold("DELETE", buried, client=client)
    states = {told["hold_id"]: told["status"] for told in await listed()}
    assert states == {ids[0]: "released", ids[1]: "held", buried: "released"}


async def test_how_long_it_is_over_is_told_while_nobody_has_ended_it(inside, hold, listed):
    await hold(ttl_s=60)
    inside.advance(seconds=59)
    assert (await listed())[0]["over_s"] is None
    inside.advance(seconds=31)
    (told,) = await listed()
    assert (told["status"], told["over_s"] // 10, told["age_s"] // 10) == ("held", 3, 9)
    assert told["unclaimed"] == []


async def test_claims_of_no_hold_come_in_their_place(inside, hold, listed, flight):
    ids = sorted(an_id(next(_numbers)) for _ in range(5))
    for id in ids[1::2]:
        await hold(id=id)
    await change(inside, *(claim(flight, f"20{letter}", ids[0]) for letter in "AC"))
    await change(inside, claim(flight, "21A", ids[2]), claim(flight, "22A", ids[4]))
    for limit in (1, 2, 500):
        told = await listed(limit)
        assert [one["hold_id"] for one in told] == ids, limit
        nobodys = {one["hold_id"]: one["surplus"] for one in told if one["status"] is None}
        assert nobodys == {
            ids[0]: seats(flight, "20A", "20C"),
            ids[2]: seats(flight, "21A"),
            ids[4]: seats(flight, "22A"),
        }


async def test_claims_without_end_are_cut_into_pages(inside, hold, listed, flight, monkeypatch):
    monkeypatch.setattr(module, "CLAIMS_PER_HOLD", 1)
    monkeypatch.setattr(module, "CLAIMS_OF_ONE_MAX", 1)
    ids = sorted(an_id(next(_numbers)) for _ in range(9))
    await hold(id=ids[8])
    for place, id in enumerate(ids[:8]):
        letters = "ABCD"[: 1 + place % 4]
        numbers = [f"{place + 15}{letter}" for letter in letters if letter != "B"]
        await change(inside, *(claim(flight, number, id) for number in numbers))
    whole = await listed(500)
    for limit in (2, 3):
        told = await listed(limit)
        assert [one["hold_id"] for one in told] == ids
        assert [one["surplus"] for one in told] == [one["surplus"] for one in whole]


async def test_seats_that_do_not_agree_with_the_claims_are_named(inside, hold, listed, flight):
    id = await hold("5A", "5C")
    await change(
        inside,
        delete(SeatClaimRow).where(SeatClaimRow.hold_id == id, SeatClaimRow.seat == "5A"),
        claim(flight, "5D", id),
    )
    (told,) = await listed()
    assert told["unclaimed"] == seats(flight, "5A")
    assert told["surplus"] == seats(flight, "5D")


async def test_claims_of_an_ended_hold_are_a_surplus(inside, hold, listed, flight, client):
    id = await hold("5A")
    await inside.hold("DELETE", id, client=client)
    await change(inside, claim(flight, "5A", id))
    (told,) = await listed()
    assert (told["unclaimed"], told["surplus"]) == ([], seats(flight, "5A"))


async def test_these_are_told_instead_of_a_page(inside, hold, client, flight):
    ids = [await hold() for _ in range(3)]
    lost = an_id(next(_numbers))
    await change(inside, claim(flight, "7A", lost))
    unknown = an_id(next(_numbers))
    query = "&".join(f"id={id}" for id in (ids[2], lost, ids[0], unknown))
    page = await ask(inside, f"?{query}", client)
    assert [one["hold_id"] for one in page["data"]] == sorted([ids[0], ids[2], lost])
    assert page["next"] is None


async def test_a_client_sees_its_own_holds_and_claims_only(inside, hold, listed, flight, client):
    mine, other = await hold(), await hold(by="somebody-else")
    await change(inside, claim(flight, "8A", other))
    assert [one["hold_id"] for one in await listed()] == [mine]
    page = await ask(inside, f"?id={other}", client)
    assert page["data"] == []


@pytest.mark.parametrize("limit", [0, PAGE_MAX + 1, "x"])
async def test_a_page_has_its_limits(inside, client, limit):
    assert (await ask(inside, f"?limit={limit}", client)).status == 422


async def test_so_many_ids_and_no_more(inside, client):
    for count, status in ((IDS_MAX, 200), (IDS_MAX + 1, 422)):
        query = "&".join(f"id={an_id(number)}" for number in range(count))
        assert (await ask(inside, f"?{query}", client)).status == status


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PUT", f"/{an_id(0)}/claims")])
async def test_people_and_strangers_are_not_let_in(inside, method, path):
    url = f"/api/v1/holds{path}"
    for headers, status in (({}, 401), (inside.staff(), 403)):
        reply = await inside.flights_http.request(method, url, headers=headers)
        assert reply.status_code == status


# --- mending ------------------------------------------------------------------------------------


async def mend(inside, id, client) -> Reply:
    return await inside.hold("PUT", f"{id}/claims", client=client)


async def test_a_live_hold_has_its_seats_claimed_again_and_no_others(
    inside, hold, flight, client, listed
):
    for confirmed, row in ((False, 5), (True, 6)):
        id = await hold(f"{row}A", f"{row}C", confirmed=confirmed)
        await change(
            inside,
            delete(SeatClaimRow).where(SeatClaimRow.hold_id == id, SeatClaimRow.seat == f"{row}A"),
            claim(flight, f"{row}D", id),
        )
        for _ in range(2):
            told = await mend(inside, id, client)
            assert (told.status, told["unclaimed"], told["surplus"]) == (200, [], [])
    states = await inside.seat_states(flight)
    assert [states[seat] for seat in ("5A", "5C", "5D", "6A", "6C", "6D")] == [
        *("held", "held", "available"),
        *("occupied", "occupied", "available"),
    ]


async def test_claims_of_an_ended_hold_are_freed(inside, hold, flight, client):
    id = await hold("5A")
    await inside.hold("DELETE", id, client=client)
    await change(inside, claim(flight, "5A", id))
    assert (await mend(inside, id, client))["surplus"] == []
    assert (await inside.seat_states(flight))["5A"] == "available"


async def test_claims_of_no_hold_are_freed_and_it_can_never_be_made(inside, flight, client, hold):
    id = an_id(next(_numbers))
    await change(inside, *(claim(flight, f"{row}A", id) for row in (5, 6)))
    told = await mend(inside, id, client)
    assert (told["status"], told["surplus"]) == ("released", [])
    states = await inside.seat_states(flight)
    assert (states["5A"], states["6A"]) == ("available", "available")
    body = {"segments": [{"flight_id": flight, "count": 1}], "ttl_s": 600}
    assert (await inside.hold("PUT", id, body, client=client)).status == 410


async def test_a_seat_that_another_has_is_not_claimed_a_second_time(inside, hold, flight, client):
    id = await hold("5A", "5C", confirmed=True)
    await change(inside, delete(SeatClaimRow).where(SeatClaimRow.hold_id == id))
    other = await hold("5C", confirmed=True)
    refused = await mend(inside, id, client)
    assert (refused.status, refused.code) == (409, "seat_unavailable")
    page = await ask(inside, f"?id={id}&id={other}", client)
    unclaimed = {one["hold_id"]: one["unclaimed"] for one in page["data"]}
    assert unclaimed == {id: seats(flight, "5A", "5C"), other: []}, "all of them or none"


async def test_a_hold_whose_time_is_up_is_left_to_the_sweeper(inside, hold, flight, client):
    id = await hold("5A", ttl_s=60)
    await change(inside, delete(SeatClaimRow).where(SeatClaimRow.hold_id == id))
    inside.advance(seconds=61)
    assert (await mend(inside, id, client))["unclaimed"] == seats(flight, "5A")
    assert (await inside.seat_states(flight))["5A"] == "available"


async def test_what_is_in_order_is_left_as_it_is(inside, hold, client):
    id = await hold(confirmed=True)
    async with inside.flights.db.read() as tx:
        before = await tx.rows(HoldRow.__table__.select().where(HoldRow.id == id))
    assert (await mend(inside, id, client)).status == 200
    async with inside.flights.db.read() as tx:
        assert await tx.rows(HoldRow.__table__.select().where(HoldRow.id == id)) == before


async def test_nobody_mends_what_is_not_there_or_not_theirs(inside, hold, flight, client):
    assert (await mend(inside, an_id(next(_numbers)), client)).status == 404
    other = await hold("5A", by="somebody-else")
    assert (await mend(inside, other, client)).status == 404
    assert (await inside.seat_states(flight))["5A"] == "held"
    await change(inside, delete(SeatClaimRow).where(SeatClaimRow.hold_id == other))
    assert (await mend(inside, other, client)).status == 404
    assert (await inside.seat_states(flight))["5A"] == "available"


async def test_a_hold_that_ends_while_it_is_mended_gets_no_claims(inside, hold, client, flight):
    id = await hold("5A", confirmed=True)
    await change(inside, delete(SeatClaimRow).where(SeatClaimRow.hold_id == id))
    keep, seen = module.inventory.keep, []

    async def ended_just_before(tx, held, now):
        if not seen:
            seen.append(held)
            await tx.run(update(HoldRow).where(HoldRow.id == id).values(status="cancelled"))
        return await keep(tx, held, now)

    module.inventory.keep = ended_just_before
    try:
        await mend(inside, id, client)
    finally:
        module.inventory.keep = keep
    assert seen
    assert (await inside.seat_states(flight))["5A"] == "available"
