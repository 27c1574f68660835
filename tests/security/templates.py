"""A valid request for every operation: what bad input is put into, one place at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import jwt

from skyhold.kernel.ids import new_id
from support.system import PASSWORD

from .lab import Lab, party

BOOKING, FLIGHT = "booking", "flight"


@dataclass(frozen=True)
class Request:
    """All of a request that a template fills in."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    token: str | None = None  # of somebody who was made for it


Make = Callable[[Lab], Awaitable[Request]]


@dataclass(frozen=True)
class Template:
    """How to ask for one operation, and as whom.

    `kinds` says of an input what it is where some of the corpus is legal there (see legal.py);
    of `also` each has fields of the body that the first cannot have at the same time.
    """

    service: str
    make: Make
    who: str = "nobody"
    kinds: Mapping[str, str] = field(default_factory=dict)
    also: tuple[Make, ...] = ()


def plain(**parts: Any) -> Make:
    """The same request each time."""

    async def make(_: Lab) -> Request:
        return Request(**parts)

    return make


async def a_registration(lab: Lab) -> Request:
    email = f"corpus-{lab.number()}@example.com"
    return Request(body={"name": "Ada", "email": email, "password": f"{PASSWORD}, anew"})


async def a_login(lab: Lab) -> Request:
    return Request(body={"email": lab.alice.email, "password": PASSWORD})


async def a_refresh(lab: Lab) -> Request:
    return Request(body={"refresh_token": (await lab.person()).refresh_token})


async def a_password_change(lab: Lab) -> Request:
    body = {"current_password": PASSWORD, "new_password": f"{PASSWORD}, another"}
    return Request(body=body, token=(await lab.person()).token)


async def a_deletion(lab: Lab) -> Request:
    return Request(body={"password": PASSWORD}, token=(await lab.person()).token)


async def another_session(lab: Lab) -> Request:
    person = await lab.person()
    other = await lab.session(person.email)
    return Request(path={"session_id": session_of(other.token)}, token=person.token)


def session_of(token: str) -> str:
    """The session that a token belongs to, as it says itself."""
    said: str = jwt.decode(token, options={"verify_signature": False})["sid"]
    return said


async def a_booking(lab: Lab) -> Request:
    flight, seat = await lab.place()
    segment = {"flight_id": flight, "cabin": "economy", "seats": [seat]}
    total = {"amount": "129.00", "currency": "USD"}
    return Request(body={"segments": [segment], "passengers": party(1), "expected_total": total})


async def a_payment(lab: Lab) -> Request:
    booking = await lab.booking()
    return Request(body={"booking_id": booking["id"], "payment_token": "tok_visa"})


async def an_own_booking(lab: Lab) -> Request:
    return Request(path={"booking_id": (await lab.booking())["id"]})


async def an_own_timeline(lab: Lab) -> Request:
    own = await an_own_booking(lab)
    return Request(path=own.path, query=_PAGE)


async def an_own_journey(lab: Lab) -> Request:
    return Request(path={"booking_id": (await lab.journey())["id"]})


async def a_cancellation(lab: Lab) -> Request:
    own = await an_own_booking(lab)
    return Request(path=own.path, body={"status": "cancelled"})


async def a_flight(lab: Lab) -> Request:
    number = lab.number() % 9_000 + 1
    departing_at = lab.system.now().replace(microsecond=0) + timedelta(days=300)
    return Request(
        body={
            "airline": "B6",
            "number": number,
            "origin": "JFK",
            "destination": "LAX",
            "departing_at": departing_at.isoformat(),
            "arriving_at": (departing_at + timedelta(hours=6)).isoformat(),
            "aircraft": "E90",
            "aircraft_name": "Embraer 190",
            "fares": {"economy": {"amount": "129.00", "currency": "USD"}},
        }
    )


async def that_flight(lab: Lab) -> Request:
    return Request(path={"flight_id": (await lab.place())[0]})


async def a_change(lab: Lab) -> Request:
    flight = await lab.system.a_flight()
    departing_at = lab.system.now().replace(microsecond=0) + timedelta(days=200)
    return Request(
        path={"flight_id": flight},
        body={
            "departing_at": departing_at.isoformat(),
            "arriving_at": (departing_at + timedelta(hours=6)).isoformat(),
            "fares": {"economy": {"amount": "130.00", "currency": "USD"}},
        },
    )


async def a_flights_end(lab: Lab) -> Request:
    return Request(path={"flight_id": await lab.system.a_flight()}, body={"status": "cancelled"})


async def a_hold(lab: Lab) -> Request:
    flight, seat = await lab.place()
    return _hold({"flight_id": flight, "cabin": "economy", "seats": [seat]})


async def a_counted_hold(lab: Lab) -> Request:
    flight, _ = await lab.place()
    return _hold({"flight_id": flight, "cabin": "economy", "count": 1})


def _hold(segment: dict[str, Any]) -> Request:
    total = {"amount": "129.00", "currency": "USD"}
    body = {"segments": [segment], "ttl_s": 3600, "expected_total": total}
    return Request(path={"hold_id": new_id()}, body=body)


async def a_batch(lab: Lab) -> Request:
    hold = await a_hold(lab)
    command = {"do": "hold", "hold_id": hold.path["hold_id"], "request_id": "r-1"}
    return Request(body={"commands": [command | {"wanted": hold.body}]})


async def a_batch_of_moves(lab: Lab) -> Request:
    confirm = {"do": "confirm", "hold_id": await lab.hold(), "request_id": "r-1"}
    release = {"do": "release", "hold_id": await lab.hold(), "request_id": "r-2", "cancel": True}
    return Request(body={"commands": [confirm, release]})


async def that_hold(lab: Lab) -> Request:
    return Request(path={"hold_id": await lab.hold()})


async def a_release(lab: Lab) -> Request:
    return Request(path={"hold_id": await lab.hold()}, query={"cancel": "true"})


_SEARCH = {
    "origin": "JFK",
    "destination": "LAX",
    "date": "2090-12-01",
    "passengers": "1",
    "cabin": "economy",
    "limit": "20",
}
_PAGE = {"limit": "20"}

TEMPLATES: Mapping[str, Template] = {
    # users
    "POST /api/v1/users/register": Template(
        BOOKING,
        a_registration,
        kinds={"name": "line", "email": "new e-mail", "password": "new password"},
    ),
    "POST /api/v1/users/login": Template(BOOKING, a_login),
    "POST /api/v1/users/logout": Template(BOOKING, plain()),
    "POST /api/v1/users/refresh": Template(BOOKING, a_refresh),
    "GET /api/v1/users/me": Template(BOOKING, plain(), who="alice"),
    "PUT /api/v1/users/me/password": Template(
        BOOKING, a_password_change, kinds={"new_password": "new password"}
    ),
    "GET /api/v1/users/me/sessions": Template(
        BOOKING, plain(query=_PAGE), who="alice", kinds={"query:limit": "limit"}
    ),
    "DELETE /api/v1/users/me/sessions": Template(BOOKING, another_session),
    "DELETE /api/v1/users/me/sessions/{session_id}": Template(BOOKING, another_session),
    "GET /api/v1/users/me/export": Template(BOOKING, plain(), who="alice"),
    "POST /api/v1/users/me/deletion": Template(BOOKING, a_deletion),
    "GET /.well-known/jwks.json": Template(BOOKING, plain()),
    "GET /api/v1/sessions/ended": Template(
        BOOKING,
        plain(query={"ended_after": "2090-12-01T00:00:00Z"}),
        who="service",
        kinds={"query:session_after": "id or nothing", "query:ended_after": "instant"},
    ),
    # bookings
    "POST /api/v1/bookings": Template(
        BOOKING,
        a_booking,
        who="alice",
        kinds={
            "segments.0.cabin": "default",
            "segments.0.seats": "optional",
            "passengers.0.given_name": "line",
            "passengers.0.family_name": "line",
            "passengers.0.born_on": "optional",
            "passengers.0.type": "default",
            "expected_total": "optional",
        },
    ),
    "GET /api/v1/bookings": Template(
        BOOKING, plain(query=_PAGE), who="alice", kinds={"query:limit": "limit"}
    ),
    "GET /api/v1/bookings/{booking_id}": Template(BOOKING, an_own_booking, who="alice"),
    "GET /api/v1/bookings/{booking_id}/timeline": Template(
        BOOKING, an_own_timeline, who="alice", kinds={"query:limit": "limit"}
    ),
    "GET /api/v1/bookings/{booking_id}/calendar": Template(BOOKING, an_own_journey, who="alice"),
    "PATCH /api/v1/bookings/{booking_id}": Template(BOOKING, a_cancellation, who="alice"),
    "DELETE /api/v1/bookings/{booking_id}": Template(BOOKING, an_own_booking, who="alice"),
    "POST /api/v1/bookings/payments": Template(
        BOOKING, a_payment, who="alice", kinds={"payment_token": "payment token"}
    ),
    # the desk
    "GET /api/v1/desk/bookings": Template(
        BOOKING,
        plain(query={"record_locator": "AAAAAA"} | _PAGE),
        who="staff",
        kinds={"query:limit": "limit"},
        also=(
            plain(query={"family_name": "Nobody"}),
            plain(query={"flight_id": "B61-2090-01-01-JFK"}),
        ),
    ),
    "GET /api/v1/desk/bookings/{booking_id}/story": Template(BOOKING, an_own_booking, who="staff"),
    "GET /api/v1/desk/overview": Template(BOOKING, plain(), who="staff"),
    # flights
    "GET /api/v1/airports": Template(
        FLIGHT, plain(query=_PAGE), kinds={"query:q": "words", "query:limit": "limit"}
    ),
    "GET /api/v1/flights": Template(
        FLIGHT,
        plain(query=_SEARCH),
        kinds={
            "query:origin": "airport",
            "query:destination": "airport",
            "query:limit": "limit",
            "query:passengers": "limit",
        },
    ),
    "GET /api/v1/flights/{flight_id}": Template(FLIGHT, that_flight),
    "GET /api/v1/flights/{flight_id}/seats": Template(FLIGHT, that_flight),
    "POST /api/v1/flights": Template(
        FLIGHT,
        a_flight,
        who="staff",
        kinds={
            "number": "small number",
            "origin": "airport",
            "destination": "airport",
            "aircraft_name": "aircraft name",
            "fares.*.amount": "fare",
        },
    ),
    "PATCH /api/v1/flights/{flight_id}": Template(
        FLIGHT,
        a_change,
        who="staff",
        also=(a_flights_end,),
        kinds={
            "status": "optional",
            "fares": "optional",
            "fares.*.amount": "fare",
        },
    ),
    # holds
    "GET /api/v1/holds": Template(
        FLIGHT,
        plain(query={"limit": "20"}),
        who="service",
        kinds={"query:limit": "limit", "query:id": "ids", "query:after": "id or next"},
    ),
    "POST /api/v1/holds/batch": Template(
        FLIGHT,
        a_batch,
        who="service",
        also=(a_batch_of_moves,),
        kinds={
            "commands": "commands",
            "commands.0.hold_id": "new id",
            "commands.0.request_id": "optional",
            "commands.1.request_id": "optional",
            "commands.1.hold_id": "new id",
            "commands.0.wanted.expected_total": "optional",
            "commands.0.wanted.segments.0.cabin": "default",
            "commands.0.wanted.ttl_s": "small number",
            "commands.1.cancel": "default",
        },
    ),
    "PUT /api/v1/holds/{hold_id}": Template(
        FLIGHT,
        a_hold,
        who="service",
        also=(a_counted_hold,),
        kinds={
            "expected_total": "optional",
            "segments.0.cabin": "default",
            "segments.0.count": "small number",
            "ttl_s": "small number",
        }
        | {"path:hold_id": "new id"},
    ),
    "PUT /api/v1/holds/{hold_id}/confirmation": Template(FLIGHT, that_hold, who="service"),
    "PUT /api/v1/holds/{hold_id}/claims": Template(FLIGHT, that_hold, who="service"),
    "DELETE /api/v1/holds/{hold_id}": Template(
        FLIGHT, a_release, who="service", kinds={"query:cancel": "flag", "path:hold_id": "new id"}
    ),
    "GET /api/v1/holds/{hold_id}": Template(FLIGHT, that_hold, who="service"),
    # of both; asked of the booking service
    "GET /livez": Template(BOOKING, plain()),
    "GET /readyz": Template(BOOKING, plain()),
    "GET /problems": Template(BOOKING, plain()),
    "GET /problems/{code}": Template(BOOKING, plain(path={"code": "sold_out"})),
}
