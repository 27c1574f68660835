"""The world around the booking service: a test decides what becomes of every call it makes."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text

from skyhold.booking.clients.payments.port import Answer, Charge, ProviderState
from skyhold.booking.clients.payments.sandbox import SandboxProvider
from skyhold.booking.models.booking import Booking, BookingStatus
from skyhold.booking.models.payment import AT_REST, Payment
from skyhold.booking.models.tables import OUTBOX
from skyhold.booking.models.user import Role
from skyhold.booking.repositories import bookings, payments
from skyhold.flight.models.tables import SeatClaimRow
from skyhold.kernel.client import RawReply, Unknown
from skyhold.kernel.db import Database
from skyhold.sandbox.ledger import Ledger
from support.system import PASSWORD, OneProcess, eventually
from support.traveller import Traveller

# Nobody gives up waiting only because this machine is busy just now, or after many troubles.
PATIENT = {
    "provider_timeout_s": 10,
    "flight_timeout_s": 8,
    "flight_deadline_s": 10,
    "breaker_failures_max": 1_000_000,
}
# Jobs that do not come unless a test runs them.
IDLE = {"expiry_period_s": 3600, "relay_period_s": 3600, "sweep_period_s": 3600}
TERMINAL = {BookingStatus.CONFIRMED, BookingStatus.EXPIRED, BookingStatus.CANCELLED}
NOBODYS_HOLD = "018f0000-0000-7000-8000-000000000000"

Go = Callable[[], Awaitable[Any]]
Trouble = Callable[[Go], Awaitable[Any]]


class Died(BaseException):
    """The process is gone; nothing in it has a chance to tidy up."""


class World:
    """Everything the booking service calls, each call by its name.

    The names: `PUT hold`, `PUT confirmation`, `DELETE hold`, `DELETE hold cancel`; `authorise`,
    `capture`, `cancel`, `refund`, `get`; `transact`. `calls` lists those that were made, `charges`
    what the provider was last asked about by each.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.charges: dict[str, Charge] = {}
        self._troubles: list[list[Any]] = []

    def on(self, pattern: str, trouble: Trouble, *, times: float = float("inf")) -> None:
        """From now on `trouble` happens to the next so many calls whose whole name matches."""
        self._troubles.insert(0, [re.compile(pattern), trouble, times])

    def calms(self) -> None:
        """No more trouble, and what was called is forgotten."""
        self._troubles.clear()
        self.calls.clear()

    def made(self, pattern: str) -> int:
        """How many calls of this name were made."""
        return sum(re.fullmatch(pattern, name) is not None for name in self.calls)

    async def call(self, name: str, go: Go) -> Any:
        self.calls.append(name)
        for entry in self._troubles:
            pattern, trouble, times = entry
            if times > 0 and pattern.fullmatch(name):
                entry[2] -= 1
                return await trouble(go)
        return await go()

    # What is put between the booking service and the others:

    def transport(self, way: Any) -> _Line:
        return _Line(self, way)

    def provider(self, folder: Path) -> Callable[[Any], _Till]:
        return lambda clock: _Till(self, sandbox_in(folder, clock))

    def watch(self, db: Database) -> None:
        """Let the commits of this database count as calls too."""
        transact = db.transact
        db.transact = lambda work: self.call("transact", lambda: transact(work))


class _Line:
    def __init__(self, world: World, way: Any) -> None:
        self._world, self._way = world, way

    async def send(self, method, path, headers, body):
        what = "confirmation" if path.endswith("/confirmation") else "hold"
        name = f"{method} {what}" + (" cancel" if "?cancel" in path else "")
        return await self._world.call(name, lambda: self._way.send(method, path, headers, body))

    async def close(self):
        await self._way.close()


class _Till:
    def __init__(self, world: World, sandbox: SandboxProvider) -> None:
        self._world, self.sandbox = world, sandbox

    name = "sandbox"

    async def authorise(self, charge):
        return await self._call("authorise", self.sandbox.authorise, charge)

    async def capture(self, charge):
        return await self._call("capture", self.sandbox.capture, charge)

    async def cancel(self, charge):
        return await self._call("cancel", self.sandbox.cancel, charge)

    async def refund(self, charge):
        return await self._call("refund", self.sandbox.refund, charge)

    async def get(self, charge):
        return await self._call("get", self.sandbox.get, charge)

    def ledger(self, since):
        return self.sandbox.ledger(since)

    async def _call(self, name, ask, charge):
        self._world.charges[name] = charge
        return await self._world.call(name, lambda: ask(charge))

    async def close(self):
        await self.sandbox.close()


def sandbox_in(folder: Path, clock: Any, *, slow_s: float = 0.2) -> SandboxProvider:
    """The sandbox provider with its ledger in this folder."""
    db = Database(f"sqlite:///{folder / 'sandbox.db'}")
    return SandboxProvider(Ledger(db, clock, slow_s=slow_s, page_url="http://sandbox.test"))


# --- what can happen to a call ---------------------------------------------------------------


async def lost_request(go: Go) -> Any:
    raise Unknown("the request was lost")


async def lost_answer(go: Go) -> Any:
    await go()
    raise Unknown("the answer was lost")


async def silence(go: Go) -> Any:
    await asyncio.Event().wait()


def answers(it: Any) -> Trouble:
    """The call is not carried out, and this is the answer; of the provider, the state it tells."""

    async def trouble(go: Go) -> Any:
        return Answer(it) if isinstance(it, ProviderState) else it

    return trouble


def http(status: int, body: bytes | dict[str, Any] = b"{}") -> Trouble:
    """The flight service, or something in front of it, answers this."""
    return answers(RawReply(status, body if isinstance(body, bytes) else json.dumps(body).encode()))


def raises(error: BaseException) -> Trouble:
    async def trouble(go: Go) -> Any:
        raise error

    return trouble


def rewritten(**changes: Any) -> Trouble:
    """The flight service's own answer, with these members changed."""

    async def trouble(go: Go) -> Any:
        reply = await go()
        return RawReply(reply.status, json.dumps(json.loads(reply.body) | changes).encode())

    return trouble


class Gate:
    """A trouble that makes a call wait, before it is carried out or before it is answered."""

    def __init__(self, *, before: bool) -> None:
        self.reached, self._open, self._before = asyncio.Event(), asyncio.Event(), before

    def opens(self) -> None:
        self._open.set()

    async def __call__(self, go: Go) -> Any:
        if self._before:
            self.reached.set()
            await self._open.wait()
            return await go()
        answer = await go()
        self.reached.set()
        await self._open.wait()
        return answer


UNWIND_S = 0.02


class Death:
    """A trouble that ends the process once so many calls were carried out.

    `calls` are those that it made alive: what it still does as it is unwound, no dead process does.
    """

    def __init__(self, world: World, after: int) -> None:
        self._world = world
        self._left = after
        self.came = asyncio.Event()
        self.calls: list[str] | None = None

    async def __call__(self, go: Go) -> Any:
        if self._left > 0:
            answer = await go()
            self._left -= 1
            if self._left > 0:
                return answer
        self._left = -1
        self.calls = self.calls or list(self._world.calls)
        self.came.set()
        raise Died


async def dies(world: World, calls: list[str], steps: int, work: Awaitable[Any]) -> None:
    """Let `work` make `calls`, and let its process die once it has made so many of them."""
    world.calms()
    world.on(".*", death := Death(world, after=steps))
    task = asyncio.ensure_future(work)
    came = asyncio.create_task(death.came.wait())
    await asyncio.wait({task, came}, return_when=asyncio.FIRST_COMPLETED)
    for left in (task, came):
        left.cancel()
    await asyncio.gather(task, came, return_exceptions=True)
    await asyncio.sleep(UNWIND_S)  # and nothing of it gets through: it is dead
    assert (death.calls or world.calls) == calls[: max(steps, 1)]
    world.calms()


# --- looking inside --------------------------------------------------------------------------


async def look(system: OneProcess, booking: Any) -> tuple[Booking, Payment | None]:
    """A booking and its last payment, as they are kept."""
    async with system.bookings.db.read() as tx:
        found = await bookings.by_id(tx, booking["id"])
        paid = await payments.latest(tx, [booking["id"]])
    assert found is not None
    return found, paid.get(booking["id"])


async def states(system: OneProcess, booking: Any) -> tuple[str, str | None, bool]:
    """The status of the booking, of its last payment, and whether its hold is open."""
    found, payment = await look(system, booking)
    return found.status.value, payment and payment.status.value, found.hold_open


async def told(system: OneProcess, booking: Any) -> list[str]:
    """The events of a booking, in their sequence."""
    async with system.bookings.db.read() as tx:
        rows = await tx.rows(
            select(OUTBOX.c.type)
            .where(OUTBOX.c.subject == booking["id"])
            .order_by(OUTBOX.c.sequence)
        )
    return [row.type for row in rows]


async def ledger(system: OneProcess, booking: Any) -> list[str]:
    """What the provider has for every payment of this booking, the oldest first."""
    async with system.bookings.db.read() as tx:
        attempts = await payments.of_booking(tx, booking["id"])
    sandbox = getattr(system.bookings.provider, "sandbox", system.bookings.provider)
    found = [await sandbox.get(Charge.of(attempt)) for attempt in attempts]
    return [answer.state.value for answer in found if answer is not None]


async def written(system: OneProcess) -> dict[str, int]:
    """How many rows each table of the booking database has."""
    async with system.bookings.db.read() as tx:
        return {
            table: await tx.scalar(select(func.count()).select_from(text(table)))
            for table in ("users", "bookings", "passengers", "payments", "booking_outbox")
        }


async def in_the_end(system: OneProcess, booking: Any) -> str:
    """How a booking ends once the jobs had their time; checks that nothing is left of the rest."""

    async def at_rest() -> bool:
        found, payment = await look(system, booking)
        over = found.status in TERMINAL and (
            not found.hold_open or found.status is BookingStatus.CONFIRMED
        )
        return over and (payment is None or payment.status in AT_REST)

    await eventually(at_rest)
    status = (await look(system, booking))[0].status
    money = await ledger(system, booking)
    assert money.count("captured") == (status is BookingStatus.CONFIRMED)
    assert not {"authorized", "pending"} & set(money)
    async with system.flights.db.read() as tx:
        taken = await tx.scalar(select(func.count()).where(SeatClaimRow.hold_id == booking["id"]))
    party = len(booking["passengers"]) * len(booking["segments"])
    assert taken == (party if status is BookingStatus.CONFIRMED else 0)
    return status.value


async def a_traveller(system: OneProcess, name: str = "Ada") -> Traveller:
    """Someone new with an account and a token, without the detour over HTTP."""
    email = f"{name.lower()}-{next(_numbers)}@example.com"
    user = await system.bookings.users.register(name, email, PASSWORD)
    granted = await system.bookings.membership.sessions.begin(user, None)
    return Traveller(system.bookings_http, granted.access_token, email)


async def a_member_of_staff(system: OneProcess, name: str = "Stan") -> Traveller:
    """Someone who works here, with an account of their own, and has logged in."""
    email = f"{name.lower()}-{next(_numbers)}@example.com"
    await system.bookings.users.register(name, email, PASSWORD, role=Role.STAFF)
    who = {"email": email, "password": PASSWORD}
    reply = await system.bookings_http.post("/api/v1/users/login", json=who)
    assert reply.status_code == 200, reply.text
    system.bookings_http.cookies.clear()
    return Traveller(system.bookings_http, reply.json()["access_token"], email)


async def account_of(person: Traveller) -> str:
    """The id of somebody's account."""
    id_: str = (await person.send("GET", "users/me"))["id"]
    return id_


async def timeline(person: Traveller, booking: Any, **asked: object) -> list[dict[str, Any]]:
    """What was done to a booking, as it is told to this person."""
    query = "&".join(f"{name}={value}" for name, value in {"limit": 100, **asked}.items())
    reply = await person.send("GET", f"bookings/{booking['id']}/timeline?{query}")
    assert reply.status == 200, reply.body
    found: list[dict[str, Any]] = reply["data"]
    return found


async def done(person: Traveller, booking: Any) -> list[tuple[str, str]]:
    """What was done to a booking, and by whom."""
    return [(entry["action"], entry["by"]) for entry in await timeline(person, booking)]


_numbers = itertools.count(1)


def again(traveller: Traveller, system: OneProcess) -> Traveller:
    """The same person, at the service's next life."""
    return Traveller(system.bookings_http, traveller.token, traveller.email)


async def comes_back(system: OneProcess, flight: str, *, left: int = 100) -> None:
    """So many seats are free again, without anybody waiting for a hold to end."""

    async def are_free() -> bool:
        return await system.seats_left(flight) == left

    await eventually(are_free, within_s=5)
