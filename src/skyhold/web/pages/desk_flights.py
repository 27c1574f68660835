"""Flights at the desk: find one, see how full it is, cancel or retime it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.responses import Response

from skyhold.web import charts, filters
from skyhold.web.api import Refused
from skyhold.web.visit import Handler, Visit, staff_only

from .desk_affected import affected_by

FLIGHTS = "/api/v1/flights"
WISH = ("flight_id", "origin", "destination", "date")
TIMES = ("departing_at", "arriving_at")
INVALID, NOT_FOUND = 422, 404


@staff_only
async def find(visit: Visit) -> Response:
    """The form, and what it finds: one flight by its id, or those of a route and day."""
    wish = {name: visit.query(name) for name in WISH}
    if not any(wish.values()):
        return _results(visit, wish)
    try:
        if wish["flight_id"]:
            flight = await visit.api.get(f"{FLIGHTS}/{_code(wish['flight_id'])}")
            return visit.go(f"/desk/flights/{flight['id']}")
        return _results(visit, wish, await _on_route(visit, wish))
    except Refused as error:
        if error.status not in (INVALID, NOT_FOUND):
            raise
        return _results(visit, wish, problem=_words(error))


@staff_only
async def one(visit: Visit) -> Response:
    """A flight: its facts, how full it is, and what can be done with it."""
    return _flight(visit, await visit.api.get(_address(visit)))


@staff_only
async def ask_cancel(visit: Visit) -> Response:
    """Who is on it, before it is cancelled."""
    return await _ask(visit, {})


@staff_only
async def cancel(visit: Visit) -> Response:
    """Cancel it; its bookings hear of it by the event."""
    return await _change(visit, {"status": "cancelled"}, "flight_cancelled")


@staff_only
async def ask_retime(visit: Visit) -> Response:
    """Who is on it, before it gets new times."""
    times = {name: visit.query(name) for name in TIMES}
    if all(_is_time(text) for text in times.values()):
        return await _ask(visit, times)
    flight = await visit.api.get(_address(visit))
    problem = "Please say when it leaves and lands, such as 2026-12-01T05:15."
    return _flight(visit, flight, INVALID, problem, times)


@staff_only
async def retime(visit: Visit) -> Response:
    """Give it new times; whether they are possible is for the API to say."""
    form = await visit.form()
    return await _change(visit, {name: form.text(name) for name in TIMES}, "flight_retimed")


async def _ask(visit: Visit, times: Mapping[str, str]) -> Response:
    flight = await visit.api.get(_address(visit))
    affected = await affected_by(visit.api, flight["id"])
    return visit.show("desk/change.html", flight=flight, affected=affected, times=times)


async def _change(visit: Visit, change: Mapping[str, str], notice: str) -> Response:
    try:
        flight = await visit.api.patch(_address(visit), change)
    except Refused as error:
        if error.status == NOT_FOUND:
            raise
        flight = await visit.api.get(_address(visit))
        return _flight(visit, flight, error.status, _words(error), change)
    return visit.go(f"/desk/flights/{flight['id']}", notice)


async def _on_route(visit: Visit, wish: Mapping[str, str]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = await visit.api.get(
        FLIGHTS,
        origin=wish["origin"].upper(),
        destination=wish["destination"].upper(),
        date=wish["date"],
        after=visit.query("after") or None,
    )
    return found


def _results(
    visit: Visit,
    wish: Mapping[str, str],
    found: Mapping[str, Any] | None = None,
    problem: str | None = None,
) -> Response:
    flights = [(it, _load(it)) for it in found["data"]] if found else None
    return visit.show(
        "desk/flights.html",
        INVALID if problem else 200,
        wish=wish,
        flights=flights,
        more=found["next"] if found else None,
        problem=problem,
    )


def _flight(
    visit: Visit,
    flight: Mapping[str, Any],
    status: int = 200,
    problem: str | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    # What an input of type datetime-local takes: without the offset, which is the airport's.
    times = {name: (typed or {}).get(name) or flight[name][:16] for name in TIMES}
    is_off = flight["status"] == "cancelled"
    return visit.show(
        "desk/flight.html",
        status,
        flight=flight,
        load=_load(flight),
        times=times,
        problem=problem,
        notices=frozenset({"flight_cancelled" if is_off else "flight_retimed"}),
    )


def _load(flight: Mapping[str, Any]) -> charts.Chart:
    cabins = [it | {"cabin": filters.cabin(it["cabin"])} for it in flight["cabins"]]
    return charts.load(f"Seats taken on {flight['id']}", cabins)


def _words(error: Refused) -> str:
    said = [f"{it['field'].rpartition('.')[2]}: {it['message']}" for it in error.errors]
    return "; ".join(said) or error.detail


def _code(text: str) -> str:
    """A flight's id as it is part of an address; nothing in it leads elsewhere."""
    return "".join(letter for letter in text.upper() if letter.isalnum() or letter == "-") or "-"


def _is_time(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text)) and "T" in text
    except ValueError:
        return False


def _address(visit: Visit) -> str:
    return f"{FLIGHTS}/{visit.part('flight_id')}"


ROUTES: list[tuple[str, str, Handler]] = [
    ("/desk/flights", "GET", find),
    ("/desk/flights/{flight_id}", "GET", one),
    ("/desk/flights/{flight_id}/cancel", "GET", ask_cancel),
    ("/desk/flights/{flight_id}/cancel", "POST", cancel),
    ("/desk/flights/{flight_id}/retime", "GET", ask_retime),
    ("/desk/flights/{flight_id}/retime", "POST", retime),
]
