"""The model's flight service is the real one: every reachable state, every command, `Ledger`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from skyhold.contracts.holds import Cabin, HeldSegment, HoldStatus, HoldWanted, SegmentWanted
from skyhold.flight.errors import (
    FlightCancelled,
    HoldConfirmed,
    HoldEnded,
    HoldNotFound,
    HoldRequestDiffers,
    SeatUnavailable,
)
from skyhold.flight.models import holds as real
from skyhold.flight.models.allocation import Ledger
from skyhold.flight.models.flight import Flight, FlightStatus
from skyhold.flight.models.holds import Claim, Confirm, Expire, HoldRecord, PutHold, Release
from skyhold.flight.models.layout import Layout
from skyhold.kernel.money import Money, WireMoney

from . import flight_rules
from .conftest import Office
from .scenarios import ALL
from .world import NEVER, TTL, WANTS, Hold, World, nothing_yet

START = datetime(2080, 1, 1, 12, tzinfo=UTC)
UNIT = timedelta(minutes=5)
FLIGHT_ID = "B61-2080-01-10-JFK"
SEATS = ("1A", "1B", "1C")
LAYOUT = Layout.parse([{"cabin": "economy", "rows": "1-1", "seats": "ABC"}])
STATUS = {"goes": FlightStatus.SCHEDULED, "cancelled": FlightStatus.CANCELLED}
IDS = range(len(nothing_yet(0).holds))
COMMANDS = [
    *(("put", id, body) for id, body in WANTS),
    *((command, id, None) for id in IDS for command in ("confirm", "release", "cancel", "expire")),
]
REFUSALS = {
    HoldRequestDiffers: "differs",
    SeatUnavailable: "taken",
    FlightCancelled: "cancelled",
    HoldConfirmed: "confirmed",
    HoldEnded: "gone",
}


def moment(now: int) -> datetime:
    return START + now * UNIT


def a_flight(status: str) -> Flight:
    departing = START + timedelta(days=9)
    return Flight(
        id=FLIGHT_ID,
        airline="B6",
        airline_name="JetBlue",
        number=1,
        origin="JFK",
        destination="LAX",
        origin_zone="America/New_York",
        destination_zone="America/Los_Angeles",
        departing_at=departing,
        arriving_at=departing + timedelta(hours=6),
        aircraft="TNY",
        aircraft_name="Tiny",
        layout=LAYOUT,
        status=STATUS[status],
        fares={Cabin.ECONOMY: Money(100, "USD")},
    )


FLIGHTS = {status: a_flight(status) for status in STATUS}


def a_record(id: int, hold: Hold) -> HoldRecord:
    flight = FLIGHTS["goes"]
    segment = HeldSegment(
        flight_id=FLIGHT_ID,
        flight_number=flight.flight_number,
        origin=flight.origin,
        destination=flight.destination,
        departing_at=flight.departing_local,
        arriving_at=flight.arriving_local,
        cabin=Cabin.ECONOMY,
        seats=numbers(id, hold.body) if hold.body else ["1A"],
        fare=WireMoney(amount="1.00", currency="USD"),
    )
    return HoldRecord(
        id=str(id),
        client_id="booking",
        request_digest=hold.body,
        segments=(segment,) if hold.body else (),
        status=HoldStatus(hold.status),
        expires_at=moment(hold.ends),
        created_at=START,
    )


def numbers(id: int, body: str) -> list[str]:
    return [SEATS[seat] for seat in sorted(WANTS[id, body])]


def a_ledger(world: World, now: int) -> Ledger:
    records = {str(id): a_record(id, hold) for id, hold in enumerate(world.holds) if hold}
    claims = {
        SEATS[seat]: Claim(str(id), records[str(id)].status, records[str(id)].expires_at)
        for seat, id in enumerate(world.claims)
        if id is not None
    }
    flights = {FLIGHT_ID: FLIGHTS[world.flight]}
    return Ledger(now=moment(now), holds=records, flights=flights, claims={FLIGHT_ID: claims})


def a_command(command: str, id: int, body: str | None):
    match command:
        case "put":
            wanted = SegmentWanted(flight_id=FLIGHT_ID, seats=numbers(id, body))
            ttl_s = int((TTL * UNIT).total_seconds())
            return PutHold(str(id), "booking", HoldWanted(segments=[wanted], ttl_s=ttl_s), body)
        case "confirm":
            return Confirm(str(id), "booking")
        case "expire":
            return Expire(str(id))
    return Release(str(id), "booking", cancel=command == "cancel")


def answer(command: str, result) -> str:
    """The real answer in the model's words; the client takes a confirmation's 404 for gone."""
    if isinstance(result, HoldNotFound):
        return "gone" if command == "confirm" else "unknown"
    if isinstance(result, Exception):
        return REFUSALS[type(result)]
    if command == "put":
        return "created" if result.created else result.hold.status.value
    return result.hold.status.value if result.hold.status in real.LIVE else "ended"


def rows(ledger: Ledger):
    """Holds and claims, in the model's terms."""
    holds = {
        int(id): (record.status.value, record.request_digest) for id, record in ledger.holds.items()
    }
    claims = {seat: int(claim.hold_id) for seat, claim in ledger.claims[FLIGHT_ID].items()}
    return holds, claims


def rows_of(world: World):
    holds = {id: (hold.status, hold.body) for id, hold in enumerate(world.holds) if hold}
    claims = {SEATS[seat]: id for seat, id in enumerate(world.claims) if id is not None}
    return holds, claims


def written(ledger: Ledger, before: World):
    """What the ledger tells the repository to write, applied to what was there."""
    holds, claims = rows_of(before)
    for move in ledger.moves.values():
        status, body = holds[int(move.hold_id)]
        assert status == move.old.value
        holds[int(move.hold_id)] = (move.new.value, body)
    claims = {seat: id for seat, id in claims.items() if str(id) not in ledger.freed}
    for record in ledger.inserts.values():
        holds[int(record.id)] = (record.status.value, record.request_digest)
        for segment in record.segments:
            for seat in segment.seats:
                assert seat not in claims, "the primary key would refuse it"
                claims[seat] = int(record.id)
    return holds, claims


def test_every_answer_and_every_write_is_that_of_the_real_ledger(seen):
    offices = {from_now(office) for scenario in ALL for office in seen[scenario.name].offices}
    empty = nothing_yet(0)
    compared = 0
    for office in offices:
        world = empty._replace(**office._asdict())
        for command in COMMANDS:
            # At this moment, and as a clock that jumped ahead would have it.
            for at in (office.now, NEVER):
                compare(world, command, at)
                compared += 1
    print(f"\n{len(offices):,} states of the flight service, {compared:,} decisions", end="")
    assert compared > 10_000


def from_now(office: Office) -> Office:
    """The same with its clock at 0: what counts is how far away the ends of holds are."""
    holds = (
        hold and hold._replace(ends=hold.ends - (0 if hold.ends == NEVER else office.now))
        for hold in office.holds
    )
    return office._replace(now=0, holds=tuple(holds))


def compare(world: World, command: tuple[str, int, str | None], now: int) -> None:
    told, after = flight_rules.decide(world, *command, now=now)
    ledger = a_ledger(world, now)
    result = ledger.decide(a_command(*command))
    about = f"{command} at {now} in {world}"
    assert answer(command[0], result) == told, about
    assert rows(ledger) == rows_of(after), about
    assert written(ledger, world) == rows_of(after), about


def test_a_hold_moves_as_the_real_one_may():
    assert {
        old.value: {new.value for new in followers} for old, followers in real.NEXT.items()
    } == flight_rules.NEXT
    assert {status.value for status in real.LIVE} == set(flight_rules.LIVE)


def test_the_end_of_a_new_hold_is_counted_as_the_real_one_counts():
    world = nothing_yet(0)._replace(now=2)
    _, after = flight_rules.decide(world, "put", 0, "x")
    ledger = a_ledger(world, 2)
    ledger.decide(a_command("put", 0, "x"))
    assert ledger.holds["0"].expires_at == moment(after.holds[0].ends)


@pytest.mark.parametrize("command", ["confirm", "release"])
def test_for_another_service_a_hold_does_not_exist(command):
    _, world = flight_rules.decide(nothing_yet(0), "put", 0, "x")
    strange = {"confirm": Confirm("0", "other"), "release": Release("0", "other", cancel=True)}
    assert isinstance(a_ledger(world, 0).decide(strange[command]), HoldNotFound)
