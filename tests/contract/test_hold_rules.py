"""Holds: PROTOCOL §2 and its races, on every engine and over two replicas."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
from contract_stage import PHASES
from flight_stage import (
    CLIENT,
    SEATS,
    a_flight,
    books_of,
    clear_the_ground,
    holds_on,
    lay_the_ground,
    wanted,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from skyhold.contracts.holds import HoldStatus
from skyhold.flight.errors import (
    HoldConfirmed,
    HoldEnded,
    HoldNotFound,
    HoldRequestDiffers,
    SeatUnavailable,
    SoldOut,
)
from skyhold.flight.models.holds import LIVE, Decision, Move
from skyhold.flight.models.tables import HoldRow
from skyhold.flight.repositories import holds as hold_rows
from skyhold.flight.repositories import seats as seat_rows
from skyhold.kernel.clock import FrozenClock
from skyhold.kernel.db import Database, DatabaseBusy, Duplicate, LostRace
from skyhold.kernel.ids import new_id

START = datetime(2080, 1, 1, 12, tzinfo=UTC)
HELD, CONFIRMED = HoldStatus.HELD, HoldStatus.CONFIRMED
RELEASED, EXPIRED, CANCELLED = HoldStatus.RELEASED, HoldStatus.EXPIRED, HoldStatus.CANCELLED


@pytest.fixture
async def ground(db):
    await clear_the_ground(db)
    await lay_the_ground(db)
    return db


@pytest.fixture
async def flight(ground, clock):
    return await a_flight(ground, clock)


@pytest.fixture
def holds(ground, clock):
    return holds_on(ground, clock)


@pytest.fixture
def replicas(ground, connect, clock):
    """Two processes, as far as the database can tell."""
    return [holds_on(each, clock, batch_max=4) for each in (ground, connect())]


# --- the table -------------------------------------------------------------------------------

STATES = ("held", "confirmed", "released", "expired", "overdue", "cancelled", "tombstone", "no")
CALLS = ("put", "put other", "confirm", "release", "cancel")


# What is answered, or why it is refused, and whether 1A is taken then.
TABLE = {
    ("put", "held"): (HELD, True),
    ("put", "confirmed"): (CONFIRMED, True),
    ("put", "no"): (HELD, True),
    ("put other", "held"): (HoldRequestDiffers, True),
    ("put other", "confirmed"): (HoldRequestDiffers, True),
    ("put other", "tombstone"): (HoldEnded, False),
    ("put other", "no"): (HELD, False),
    ("confirm", "held"): (CONFIRMED, True),
    ("confirm", "confirmed"): (CONFIRMED, True),
    ("confirm", "no"): (HoldNotFound, False),
    ("release", "held"): (RELEASED, False),
    ("release", "confirmed"): (HoldConfirmed, True),
    ("release", "no"): (RELEASED, False),
    ("cancel", "held"): (RELEASED, False),
    ("cancel", "confirmed"): (CANCELLED, False),
    ("cancel", "no"): (RELEASED, False),
}
ENDED = {"released": RELEASED, "tombstone": RELEASED, "cancelled": CANCELLED}
ENDED |= {"expired": EXPIRED, "overdue": EXPIRED}
for state, told in ENDED.items():
    TABLE |= {
        ("put", state): (HoldEnded, False),
        ("put other", state): TABLE.get(("put other", state), (HoldRequestDiffers, False)),
        ("confirm", state): (HoldEnded, False),
        ("release", state): (told, False),
        ("cancel", state): (told, False),
    }


async def a_hold_that_is(state, holds, flight, clock):
    hold_id = new_id()
    if state not in {"no", "tombstone"}:
        await holds.put(hold_id, CLIENT, wanted(flight, "1A", ttl_s=60))
    if state in {"confirmed", "cancelled"}:
        await holds.confirm(hold_id, CLIENT)
    if state in {"released", "tombstone", "cancelled"}:
        await holds.release(hold_id, CLIENT, cancel=state == "cancelled")
    if state in {"expired", "overdue"}:
        clock.advance(seconds=60)
    if state == "expired":
        assert await holds.sweep() == 1
    return hold_id


async def answer(call, holds, hold_id, flight):
    """The state that is answered, or the kind of refusal."""
    try:
        match call:
            case "put":
                return (await holds.put(hold_id, CLIENT, wanted(flight, "1A"))).hold.status
            case "put other":
                return (await holds.put(hold_id, CLIENT, wanted(flight, "1B"))).hold.status
            case "confirm":
                return (await holds.confirm(hold_id, CLIENT)).status
        return (await holds.release(hold_id, CLIENT, cancel=call == "cancel")).status
    except (HoldEnded, HoldRequestDiffers, HoldConfirmed, HoldNotFound) as refusal:
        return type(refusal)


@pytest.mark.parametrize("state", STATES)
async def test_every_call_in_every_state_answers_as_the_protocol_says(
    holds, ground, connect, clock, state
):
    for call in CALLS:
        flight = await a_flight(ground, clock)
        hold_id = await a_hold_that_is(state, holds, flight, clock)
        status, taken = TABLE[call, state]
        # Asked of another replica, and asked twice: the answer is the same.
        for replica in (holds, holds_on(connect(pool_max=1, writers_max=1), clock)):
            assert await answer(call, replica, hold_id, flight) == status, call
            books = await books_of(ground, flight, [hold_id])
            if (call, state) not in {("put other", "overdue"), ("put", "overdue")}:
                books.check()
                assert (books.claims.get("1A") == hold_id) == taken, call


async def test_a_seat_is_sellable_the_moment_its_hold_ends_although_nobody_swept(
    replicas, flight, clock, ground
):
    first, second = replicas
    ended = (await first.put(new_id(), CLIENT, wanted(flight, "1A", "1B", ttl_s=60))).hold
    with pytest.raises(SeatUnavailable):
        await second.put(new_id(), CLIENT, wanted(flight, "1A"))
    clock.advance(seconds=60)
    sold = (await second.put(new_id(), CLIENT, wanted(flight, "1A"))).hold
    books = await books_of(ground, flight)
    books.check()
    assert books.claims == {"1A": sold.id}
    assert books.states()[ended.id] is EXPIRED


async def test_a_promise_comes_back_as_it_was_given(replicas, flight, clock):
    hold_id = new_id()
    given = await replicas[0].put(hold_id, CLIENT, wanted(flight, "2B", "2A"))
    again = await replicas[1].put(hold_id, CLIENT, wanted(flight, "2B", "2A"))
    assert (given.created, again.created) == (True, False)
    assert again.hold == given.hold
    assert again.hold.expires_at == clock.now() + timedelta(seconds=600)


# --- the repository --------------------------------------------------------------------------


async def test_what_has_moved_since_it_was_read_is_a_lost_race_and_nothing_is_written(
    holds, flight, ground, clock
):
    ours, theirs = new_id(), new_id()
    for hold_id, seat in ((ours, "1A"), (theirs, "1B")):
        await holds.put(hold_id, CLIENT, wanted(flight, seat))
    await holds.release(theirs, CLIENT, cancel=False)
    stale = [Move(ours, HELD, CONFIRMED), Move(theirs, HELD, CONFIRMED)]
    with pytest.raises(LostRace):
        await once(ground, lambda tx: hold_rows._move(tx, stale, clock.now()))
    assert (await books_of(ground, flight)).states() == {ours: HELD, theirs: RELEASED}


async def test_every_move_counts_up_the_version(holds, flight, ground):
    hold_id = new_id()
    await holds.put(hold_id, CLIENT, wanted(flight, "1A"))
    await holds.confirm(hold_id, CLIENT)
    await holds.release(hold_id, CLIENT, cancel=True)
    async with ground.read() as tx:
        row = await tx.row(select(HoldRow.ver, HoldRow.resolved_at).where(HoldRow.id == hold_id))
    assert row.ver == 3
    assert row.resolved_at is not None


async def test_the_longest_overdue_come_first_and_no_more_than_asked_for(
    holds, flight, ground, clock
):
    ids = [new_id() for _ in range(4)]
    for hold_id, seat, ttl_s in zip(ids, SEATS, (40, 10, 30, 20), strict=False):
        await holds.put(hold_id, CLIENT, wanted(flight, seat, ttl_s=ttl_s))
    clock.advance(seconds=30)
    async with ground.read() as tx:
        assert await hold_rows.due(tx, clock.now(), 2) == [ids[1], ids[3]]
        assert await hold_rows.due(tx, clock.now(), 9) == [ids[1], ids[3], ids[2]]
        taken = await seat_rows.count_taken(tx, [flight], clock.now())
    assert taken[flight] == {"economy": 1}


async def once(db, work):
    """One run, whatever becomes of it."""

    async def run(tx):
        try:
            return await work(tx)
        except LostRace as error:
            raise _Lost from error

    try:
        return await db.transact(run)
    except _Lost as error:
        raise LostRace from error


class _Lost(Exception):
    pass


# --- races over two replicas -----------------------------------------------------------------

REFUSALS = (SeatUnavailable, SoldOut, HoldEnded, HoldConfirmed, HoldNotFound, DatabaseBusy)


async def test_many_who_want_the_same_seats_at_once(replicas, flight, ground):
    """Each seat has one owner, every answer is true, and a no had no effect."""
    dice = random.Random(7)
    wishes = [
        wanted(flight, count=dice.randint(1, 4))
        if nth % 3 == 0
        else wanted(flight, *dice.sample(SEATS, 2))
        for nth in range(120)
    ]
    ids = [new_id() for _ in wishes]
    outcomes = await asyncio.gather(
        *(
            replicas[nth % 2].put(id, CLIENT, wish)
            for nth, (id, wish) in enumerate(zip(ids, wishes, strict=True))
        ),
        return_exceptions=True,
    )
    assert {type(each) for each in outcomes} <= {Decision, SeatUnavailable, SoldOut}
    held = {each.hold.id for each in outcomes if isinstance(each, Decision)}
    books = await books_of(ground, flight)
    books.check()
    assert set(books.holds) == held
    assert len(books.claims) > len(SEATS) - 4, "seats are left that somebody wanted"


@pytest.mark.parametrize("seed", [1, 2])
async def test_any_commands_at_once_leave_the_books_straight(replicas, flight, ground, clock, seed):
    """A storm on a few holds, while time goes on and both replicas sweep."""
    dice = random.Random(seed)
    ids = [new_id() for _ in range(12)]

    def command(nth):
        replica, id = dice.choice(replicas), dice.choice(ids)
        kind = dice.choice(["put", "put", "put", "confirm", "release", "cancel", "sweep"])
        if nth % 20 == 0:
            clock.advance(seconds=7)
        match kind:
            case "put":
                seats = [SEATS[ids.index(id)], SEATS[(ids.index(id) + 1) % 12]]
                return replica.put(id, CLIENT, wanted(flight, *seats, ttl_s=20))
            case "confirm":
                return replica.confirm(id, CLIENT)
            case "sweep":
                return replica.sweep()
        return replica.release(id, CLIENT, cancel=kind == "cancel")

    outcomes = await asyncio.gather(*map(command, range(160)), return_exceptions=True)
    wrong = [
        each
        for each in outcomes
        if isinstance(each, BaseException) and not isinstance(each, REFUSALS)
    ]
    assert wrong == []
    books = await books_of(ground, flight, ids)
    books.check()
    clock.advance(seconds=60)
    for replica in replicas:
        await replica.sweep()
    books = await books_of(ground, flight, ids)
    books.check()
    assert HELD not in books.states().values()
    assert set(books.claims.values()) == {id for id, s in books.states().items() if s in LIVE}


async def test_of_a_confirmation_and_releases_at_once_one_has_its_way(replicas, ground, clock):
    for _ in range(6):
        flight = await a_flight(ground, clock)
        hold_id = new_id()
        await replicas[0].put(hold_id, CLIENT, wanted(flight, "1A"))
        first, second = replicas
        outcomes = await asyncio.gather(
            first.confirm(hold_id, CLIENT),
            second.release(hold_id, CLIENT, cancel=False),
            first.release(hold_id, CLIENT, cancel=False),
            second.confirm(hold_id, CLIENT),
            return_exceptions=True,
        )
        books = await books_of(ground, flight)
        books.check()
        final = books.states()[hold_id]
        assert final in {CONFIRMED, RELEASED}
        lost = HoldEnded if final is RELEASED else HoldConfirmed
        told = {each.status if hasattr(each, "expires_at") else type(each) for each in outcomes}
        assert told == {final, lost}


async def test_the_same_hold_asked_for_many_times_at_once_is_one_hold(replicas, flight, ground):
    hold_id = new_id()
    outcomes = await asyncio.gather(
        *(replicas[nth % 2].put(hold_id, CLIENT, wanted(flight, count=2)) for nth in range(20))
    )
    assert sum(each.created for each in outcomes) == 1
    assert len({each.hold.segments[0].seats[0] for each in outcomes}) == 1
    books = await books_of(ground, flight)
    books.check()
    assert len(books.claims) == 2


async def test_a_seat_that_another_wrote_first_is_refused_by_its_key(ground, flight, holds, clock):
    """What holds it all: even a decision on old rows cannot take a seat twice."""
    await holds.put(new_id(), CLIENT, wanted(flight, "1A"))
    async with ground.read() as tx:
        (claim,) = await tx.rows(select(hold_rows.SeatClaimRow.__table__))
    stolen = {**claim._mapping, "hold_id": new_id()}
    with pytest.raises(Duplicate):
        await ground.transact(lambda tx: tx.run(hold_rows.insert(hold_rows.SeatClaimRow), [stolen]))


# --- any story, against a tiny model ---------------------------------------------------------


class Story(RuleBasedStateMachine):
    """The hold commands on two replicas, and what a page of plain Python says of them."""

    ids = Bundle("ids")
    url = ""

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.dbs = [Database(self.url) for _ in range(2)]
        self.clock = FrozenClock(START)
        self.replicas = [holds_on(db, self.clock) for db in self.dbs]
        self.flight = self.run(a_flight(self.dbs[0], self.clock))
        self.model: dict[str, tuple[HoldStatus, tuple[str, ...], object]] = {}

    def run(self, work):
        return self.runner.run(work)

    def teardown(self):
        left = [db.checked_out for db in self.dbs]
        for db in self.dbs:
            self.run(db.close())
        self.runner.close()
        assert left == [0, 0]

    def settle(self):
        """Time has ended what it has to; the sweeper may come late, and nobody can tell."""
        for id, (state, seats, end) in self.model.items():
            if state is HELD and end <= self.clock.now():
                self.model[id] = EXPIRED, seats, end

    def taken(self):
        return {seat for state, seats, _ in self.model.values() if state in LIVE for seat in seats}

    @rule(target=ids)
    def an_id(self):
        return new_id()

    @rule(id=ids, at=st.integers(0, 1), seats=st.sets(st.sampled_from(SEATS[:6]), min_size=1))
    def put(self, id, at, seats):
        seats = tuple(sorted(seats))
        self.settle()
        try:
            hold = self.run(self.replicas[at].put(id, CLIENT, wanted(self.flight, *seats))).hold
        except (HoldEnded, HoldRequestDiffers, SeatUnavailable) as refusal:
            told = type(refusal)
        else:
            told = hold.status
        if id not in self.model:
            if self.taken() & set(seats):
                assert told is SeatUnavailable
                return
            self.model[id] = HELD, seats, self.clock.now() + timedelta(seconds=600)
        state, promised, _ = self.model[id]
        if promised and promised != seats:
            assert told is HoldRequestDiffers
        else:
            assert told == (state if state in LIVE else HoldEnded)

    @rule(id=ids, at=st.integers(0, 1))
    def confirm(self, id, at):
        self.settle()
        try:
            told = self.run(self.replicas[at].confirm(id, CLIENT)).status
        except (HoldEnded, HoldNotFound) as refusal:
            told = type(refusal)
        if id not in self.model:
            assert told is HoldNotFound
            return
        state, seats, end = self.model[id]
        if state is HELD:
            state = CONFIRMED
            self.model[id] = state, seats, end
        assert told == (CONFIRMED if state is CONFIRMED else HoldEnded)

    @rule(id=ids, at=st.integers(0, 1), cancel=st.booleans())
    def release(self, id, at, cancel):
        self.settle()
        try:
            told = self.run(self.replicas[at].release(id, CLIENT, cancel=cancel)).status
        except HoldConfirmed as refusal:
            told = type(refusal)
        state, seats, end = self.model.get(id, (RELEASED, (), None))
        if state is HELD:
            state = RELEASED
        elif state is CONFIRMED and cancel:
            state = CANCELLED
        self.model[id] = state, seats, end
        assert told == (HoldConfirmed if state is CONFIRMED else state)

    @rule(at=st.integers(0, 1))
    def sweep(self, at):
        self.run(self.replicas[at].sweep())

    @rule(seconds=st.sampled_from([1, 300, 601]))
    def time_goes_on(self, seconds):
        self.clock.advance(seconds=seconds)

    @invariant()
    def the_books_agree(self):
        books = self.run(books_of(self.dbs[0], self.flight, list(self.model)))
        books.check()
        self.settle()
        now = self.clock.now()
        seen = {
            id: EXPIRED if state is HELD and books.ends[id] <= now else state
            for id, state in books.states().items()
        }
        assert seen == {id: state for id, (state, _, _) in self.model.items()}


def test_any_story_of_holds_goes_as_the_model_says(url):
    async def prepare():
        db = Database(url)
        await lay_the_ground(db)
        await db.close()

    asyncio.run(prepare())
    story = type("StoryHere", (Story,), {"url": url})
    run_state_machine_as_test(
        story,
        settings=settings(max_examples=4, stateful_step_count=25, deadline=None, phases=PHASES),
    )
