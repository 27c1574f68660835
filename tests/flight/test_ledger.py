"""Decisions about holds, in batches, against a real database."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from skyhold.contracts.holds import Cabin, HoldStatus, HoldWanted
from skyhold.flight.models.flight import flight_id
from skyhold.flight.models.holds import (
    LIVE,
    NEXT,
    Command,
    Confirm,
    Decision,
    Expire,
    PutHold,
    Release,
)
from skyhold.flight.models.tables import HoldRow, SeatClaimRow
from skyhold.flight.repositories import holds as hold_rows
from skyhold.flight.repositories import schedule as schedule_rows
from skyhold.flight.repositories.reference import Reference
from skyhold.flight.services.departures import Departure, new_row
from skyhold.flight.services.holds import Holds
from skyhold.flight.settings import FlightSettings
from skyhold.flight.wiring import open_database
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.db import Database, Duplicate, LostRace
from skyhold.kernel.ids import derived_id, digest
from skyhold.kernel.money import Money

START = datetime(2080, 1, 1, 12, tzinfo=UTC)
DAY = START.date() + timedelta(days=9)
SEATS = ["1A", "1B", "1C", "2A", "2B", "2C"]  # all that a TNY has
ZONES = {"JFK": "America/New_York", "LAX": "America/Los_Angeles"}


@dataclass
class Office:
    """A flight database of its own, and the holds in it. Its time stands still until moved."""

    db: Database
    holds: Holds
    clock: FrozenClock
    numbers: int = 0

    async def add_flights(self) -> list[str]:
        """Two new flights of six seats, one after the other, to JFK and back."""
        self.numbers += 1
        there = self._row("LAX", "JFK", hour=1)
        back = self._row("JFK", "LAX", hour=12)
        await self.db.transact(lambda tx: schedule_rows.add_flights(tx, [there, back]))
        return [there["id"], back["id"]]

    def _row(self, origin, destination, *, hour):
        departure = Departure(
            airline="B6",
            number=self.numbers,
            origin=origin,
            destination=destination,
            departing_at=datetime(DAY.year, DAY.month, DAY.day, hour, tzinfo=UTC),
            arriving_at=datetime(DAY.year, DAY.month, DAY.day, hour + 6, tzinfo=UTC),
            aircraft="TNY",
            aircraft_name=None,
            fares={Cabin.ECONOMY: Money(100, "USD")},
        )
        row = new_row(departure, zones=ZONES, aircraft_name="Tiny", cabins={Cabin.ECONOMY})
        return row | {"id": flight_id("B6", self.numbers, DAY, origin)}

    async def decide(self, *commands: Command) -> Sequence[Decision | Exception]:
        """Decide these commands together, in one transaction."""
        return await self.holds._decide(commands)

    async def look(self, flights: Sequence[str], ids: Sequence[str]) -> Books:
        """What is written about these flights and these holds."""
        async with self.db.read() as tx:
            claims = await tx.rows(
                select(SeatClaimRow.__table__).where(SeatClaimRow.flight_id.in_(flights))
            )
            rows = await tx.rows(select(HoldRow.__table__).where(HoldRow.id.in_(ids)))
        return Books(
            self.clock.now(),
            {(claim.flight_id, claim.seat): claim.hold_id for claim in claims},
            {
                row.id: (HoldStatus(row.status), row.expires_at, _seats(row.segments))
                for row in rows
            },
        )


@dataclass(frozen=True)
class Books:
    """What the two tables say: whose each taken seat is, and each hold's state, end and seats."""

    now: datetime
    claims: dict[tuple[str, str], str]
    holds: dict[str, tuple[HoldStatus, datetime, tuple[tuple[str, str], ...]]]

    def settled(self) -> Books:
        """The same once every hold whose time is up has been ended."""
        over = {
            id
            for id, (status, expires_at, _) in self.holds.items()
            if status is HoldStatus.HELD and expires_at <= self.now
        }
        return Books(
            self.now,
            {seat: owner for seat, owner in self.claims.items() if owner not in over},
            {
                id: ((HoldStatus.EXPIRED, *facts[1:]) if id in over else facts)
                for id, facts in self.holds.items()
            },
        )

    def check(self) -> None:
        """Claimed seats are the seats of held and confirmed holds, each of one hold: always."""
        owed = [
            (seat, id)
            for id, (status, _, seats) in self.holds.items()
            if status in {HoldStatus.HELD, HoldStatus.CONFIRMED}
            for seat in seats
        ]
        assert len(owed) == len(dict(owed)), "a seat belongs to two holds"
        assert dict(owed) == self.claims


def _seats(segments):
    return tuple((part["flight_id"], seat) for part in segments for seat in part["seats"])


async def _open(folder: Path, template: Path) -> Office:
    shutil.copytree(template, folder)
    db = open_database(FlightSettings(_env_file=None, data_dir=folder))
    drawing = [{"cabin": "economy", "rows": "1-2", "seats": "AB C"}]
    tiny = {"code": "TNY", "name": "Tiny", "layout": json.dumps(drawing)}
    await db.transact(lambda tx: schedule_rows.add_aircraft(tx, [tiny]))
    clock = FrozenClock(START)
    return Office(
        db, Holds(db, Reference(), clock, batch_max=8, waiting_max=100, sweep_max=100), clock
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def offices(template, tmp_path_factory) -> list[Office]:
    """Two databases that begin alike."""
    folder = tmp_path_factory.mktemp("offices")
    offices = [await _open(folder / name, template) for name in ("one", "other")]
    yield offices
    for office in offices:
        await office.db.close()


@pytest.fixture
def office(offices) -> Office:
    return offices[0]


def put(hold_id: str, *segments, ttl_s=60, client="booking") -> PutHold:
    wanted = HoldWanted(segments=list(segments), ttl_s=ttl_s)
    asked = digest(wanted.model_dump(mode="json", exclude={"ttl_s"}))
    return PutHold(hold_id, client, wanted, asked)


def seats(flight: str, *numbers: str):
    return {"flight_id": flight, "seats": list(numbers)}


def outcome(result: Decision | Exception):
    """What a caller sees of a result."""
    if isinstance(result, Decision):
        hold = result.hold
        return hold.id, hold.status, hold.expires_at, hold.segments, result.created
    return type(result).__name__, str(result)


# --- any commands, in any batches -----------------------------------------------------------------

# A PUT of a new id or again of one before, the other calls on one before, a DELETE of a new id.
KINDS = st.sampled_from(
    ["put", "put", "put", "again", "confirm", "release", "cancel", "expire", "bury"]
)
CLIENTS = st.sampled_from(["booking"] * 5 + ["rival"])


@st.composite
def requests(draw):
    """Segments on one or both of the flights, which are called 0 and 1."""
    legs = draw(st.sampled_from([[0], [1], [0, 1]]))
    return [{"flight_id": leg} | draw(parts()) for leg in legs]


@st.composite
def parts(draw):
    if draw(st.booleans()):
        return {"count": draw(st.integers(1, 4))}
    return {"seats": draw(st.lists(st.sampled_from([*SEATS, "9A"]), min_size=1, max_size=3))}


@st.composite
def stories(draw):
    """Batches of commands, each some seconds after the one before it."""
    asked = st.sampled_from(draw(st.lists(requests(), min_size=2, max_size=2)))
    commands = st.lists(
        st.builds(_command, KINDS, st.integers(0, 3), CLIENTS, asked, st.sampled_from([10, 60])),
        min_size=1,
        max_size=8,
    )
    return draw(st.lists(st.tuples(st.sampled_from([0, 5, 30]), commands), min_size=1, max_size=6))


def _command(kind, back, client, request, ttl_s):
    """A command on one of the last ids, or on a new one, once flights and ids are known."""

    def make(flights: list[str], ids: list[str]) -> Command:
        if kind in {"put", "bury"} or not ids:
            ids.append(derived_id(*flights, str(len(ids))))
            id = ids[-1]
        else:
            id = ids[-1 - back % len(ids)]
        match kind:
            case "put" | "again":
                segments = [part | {"flight_id": flights[part["flight_id"]]} for part in request]
                return put(id, *segments, ttl_s=ttl_s, client=client)
            case "confirm":
                return Confirm(id, client)
            case "expire":
                return Expire(id)
        return Release(id, client, cancel=kind == "cancel")

    return make


@given(stories())
@settings(max_examples=25, deadline=None)
async def test_batches_decide_as_single_commands_would_and_keep_the_books_straight(offices, story):
    together, one_by_one = offices
    ids: list[str] = []
    flights = await together.add_flights()
    assert await one_by_one.add_flights() == flights

    for seconds, makers in story:
        commands = [make(flights, ids) for make in makers]
        for office in offices:
            office.clock.advance(seconds=seconds)
        before = await together.look(flights, ids)
        results = await together.decide(*commands)
        after = await together.look(flights, ids)
        after.check()
        _check_moves(before, after)

        singles, alone = [], await one_by_one.look(flights, ids)
        for command in commands:
            result, alone = await _decide_alone(one_by_one, flights, ids, command, alone)
            singles.append(result)
        assert [outcome(result) for result in results] == [outcome(single) for single in singles]
        assert after.settled() == alone.settled()


async def _decide_alone(office, flights, ids, command, before):
    (result,) = await office.decide(command)
    after = await office.look(flights, ids)
    after.check()
    _check_moves(before, after)
    if isinstance(result, Exception):
        assert after.settled() == before.settled(), "a refusal changed something"
    return result, after


LEADS_TO = {
    HoldStatus.HELD: set(HoldStatus),
    HoldStatus.CONFIRMED: {HoldStatus.CONFIRMED, HoldStatus.CANCELLED},
    HoldStatus.RELEASED: {HoldStatus.RELEASED},
    HoldStatus.EXPIRED: {HoldStatus.EXPIRED},
    HoldStatus.CANCELLED: {HoldStatus.CANCELLED},
}


def _check_moves(before: Books, after: Books) -> None:
    """No hold vanishes, changes what it promised, or comes back from its end."""
    for id, (status, *promised) in before.holds.items():
        now, *promises = after.holds[id]
        assert now in LEADS_TO[status], f"{status} -> {now}"
        assert promises == promised


def test_a_hold_that_has_ended_leads_nowhere():
    assert {status for status in HoldStatus if NEXT[status]} == LIVE


# --- inside one batch -----------------------------------------------------------------------------


@pytest.fixture
async def flights(office) -> list[str]:
    return await office.add_flights()


@pytest.fixture
def ids(flights) -> list[str]:
    return [derived_id(*flights, str(nth)) for nth in range(4)]


async def test_of_two_in_one_batch_who_want_a_seat_the_first_gets_it(office, flights, ids):
    first, second = await office.decide(
        put(ids[0], seats(flights[0], "1A", "1B")), put(ids[1], seats(flights[0], "1B", "1C"))
    )
    assert first.created
    assert outcome(second)[0] == "SeatUnavailable"
    books = await office.look(flights, ids)
    assert books.claims == {(flights[0], "1A"): ids[0], (flights[0], "1B"): ids[0]}


async def test_a_seat_that_is_given_back_in_a_batch_is_passed_on_in_the_same_batch(
    office, flights, ids
):
    await office.decide(put(ids[0], seats(flights[0], "1A")))
    released, passed_on = await office.decide(
        Release(ids[0], "booking", cancel=False), put(ids[1], seats(flights[0], "1A"))
    )
    assert (released.hold.status, passed_on.hold.status) == ("released", "held")
    assert (await office.look(flights, ids)).claims == {(flights[0], "1A"): ids[1]}


async def test_a_whole_life_fits_into_one_batch(office, flights, ids):
    results = await office.decide(
        put(ids[0], seats(flights[0], "1A")),
        put(ids[0], seats(flights[0], "1A")),
        Confirm(ids[0], "booking"),
        Release(ids[0], "booking", cancel=False),
        Release(ids[0], "booking", cancel=True),
        put(ids[0], seats(flights[0], "1A")),
        put(ids[1], seats(flights[0], "1A")),
    )
    assert [outcome(result)[:2] for result in results] == [
        (ids[0], "held"),
        (ids[0], "held"),
        (ids[0], "confirmed"),
        ("HoldConfirmed", "The hold is confirmed; only an explicit cancellation ends it."),
        (ids[0], "cancelled"),
        ("HoldEnded", "The hold has ended: it is cancelled."),
        (ids[1], "held"),
    ]
    books = await office.look(flights, ids)
    books.check()
    assert books.holds[ids[0]][0] is HoldStatus.CANCELLED


async def test_a_tombstone_in_a_batch_stops_the_put_behind_it(office, flights, ids):
    buried, late = await office.decide(
        Release(ids[0], "booking", cancel=False), put(ids[0], seats(flights[0], "1A"))
    )
    assert buried.created
    assert outcome(late)[0] == "HoldEnded"
    assert (await office.look(flights, ids)).claims == {}


# --- rows that moved after they were read (other engines, other replicas) -------------------------


async def _decided_on_old_rows(office, command, meanwhile):
    """Carry out a decision on rows that somebody else has moved since they were read."""
    async with office.db.read() as tx:
        ledger = await office.holds._ledger(tx, [command])
    assert isinstance(ledger.decide(command), Decision)
    await office.decide(meanwhile)

    async def carry_out(tx):
        try:
            await hold_rows.carry_out(tx, ledger)
        except LostRace as lost:
            raise Stale from lost  # seen as it is, not run again

    await office.db.transact(carry_out)


class Stale(Exception):
    pass


async def test_a_confirmation_decided_before_the_hold_ended_is_not_carried_out(
    office, flights, ids
):
    await office.decide(put(ids[0], seats(flights[0], "1A")))
    with pytest.raises(Stale):
        await _decided_on_old_rows(
            office, Confirm(ids[0], "booking"), Release(ids[0], "booking", cancel=False)
        )
    books = await office.look(flights, ids)
    books.check()
    assert books.holds[ids[0]][0] is HoldStatus.RELEASED


async def test_a_release_decided_before_the_confirmation_frees_nothing(office, flights, ids):
    await office.decide(put(ids[0], seats(flights[0], "1A")))
    with pytest.raises(Stale):
        await _decided_on_old_rows(
            office, Release(ids[0], "booking", cancel=False), Confirm(ids[0], "booking")
        )
    books = await office.look(flights, ids)
    books.check()
    assert books.claims == {(flights[0], "1A"): ids[0]}


async def test_a_seat_that_someone_else_wrote_first_is_refused_by_its_primary_key(
    office, flights, ids
):
    with pytest.raises(Duplicate):
        await _decided_on_old_rows(
            office,
            put(ids[0], seats(flights[0], "1C", "1A")),
            put(ids[1], seats(flights[0], "1A")),
        )
    books = await office.look(flights, ids)
    books.check()
    assert books.claims == {(flights[0], "1A"): ids[1]}
    assert ids[0] not in books.holds


async def test_a_hold_id_that_someone_else_wrote_first_is_refused_by_its_primary_key(
    office, flights, ids
):
    with pytest.raises(Duplicate):
        await _decided_on_old_rows(
            office,
            put(ids[0], seats(flights[0], "1A")),
            Release(ids[0], "booking", cancel=False),
        )
    assert (await office.look(flights, ids)).claims == {}
