"""Where from, where to, when: the form, and what flies then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from starlette.responses import JSONResponse, Response

from skyhold.web.api import Refused
from skyhold.web.visit import Handler, Visit, for_anybody

PARTY_MAX = 9
SUGGESTED_MAX = 8
CODE_LENGTH = 3
UNPROCESSABLE = 422


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed into the form, as it was typed."""

    origin: str = ""
    destination: str = ""
    date: str = ""
    passengers: str = "1"
    cabin: str = ""

    @classmethod
    def of(cls, visit: Visit) -> Wish:
        """From the address."""
        return cls(
            visit.query("origin"),
            visit.query("destination"),
            visit.query("date"),
            visit.query("passengers", "1"),
            visit.query("cabin"),
        )


async def home(visit: Visit) -> Response:
    """The form: as the address fills it in, or for tomorrow."""
    wish = Wish.of(visit)
    if not wish.date:
        wish = replace(wish, date=str(visit.site.clock.now().date() + timedelta(days=1)))
    return visit.show("home.html", wish=wish, problems={}, choices={})


async def flights(visit: Visit) -> Response:
    """What flies on that day, or the form again with what is to be put right."""
    wish = Wish.of(visit)
    places, problems, choices = await _places(visit, wish)
    if not problems:
        try:
            return await _results(visit, wish, places)
        except Refused as error:
            if not error.errors:
                raise
            problems = {it["field"].split(".")[-1]: it["message"] for it in error.errors}
    return visit.show("home.html", 422, wish=wish, problems=problems, choices=choices)


@for_anybody
async def airports(visit: Visit) -> Response:
    """For the form while one types: `[{"code", "name", "city", "country"}]`."""
    return JSONResponse(await _airports(visit, visit.query("q"), SUGGESTED_MAX))


async def _results(visit: Visit, wish: Wish, places: Mapping[str, Mapping[str, str]]) -> Response:
    found = await visit.api.get(
        "/api/v1/flights",
        origin=places["origin"]["code"],
        destination=places["destination"]["code"],
        date=wish.date,
        passengers=wish.passengers,
        cabin=wish.cabin or None,
        after=visit.query("after") or None,
    )
    day = date.fromisoformat(wish.date)
    return visit.show(
        "flights.html",
        wish=wish,
        origin=places["origin"],
        destination=places["destination"],
        party=int(wish.passengers),
        flights=found["data"],
        more=found["next"],
        before=day - timedelta(days=1),
        after=day + timedelta(days=1),
    )


async def _places(
    visit: Visit, wish: Wish
) -> tuple[dict[str, Mapping[str, str]], dict[str, str], dict[str, Any]]:
    """Both airports; what is wrong with them; and which they could be, if several."""
    places, problems, choices = {}, {}, {}
    for end, text in (("origin", wish.origin), ("destination", wish.destination)):
        # Mostly a code was typed, or picked: that one need not be searched for.
        found = await _airports(visit, text, 1)
        exact = [it for it in found if it["code"] == _code(text)]
        if not exact:
            found = await _airports(visit, text, SUGGESTED_MAX)
        if exact or len(found) == 1:
            places[end] = (exact or found)[0]
        elif found:
            problems[end] = "Several airports match; which one is it?"
            choices[end] = found
        else:
            problems[end] = "We know no such airport. Try its city, or its three letters."
    return places, problems, choices


def _code(text: str) -> str:
    """The airport's code in what was typed or picked: `JFK`, `jfk`, `New York (JFK)`."""
    inside = text.rpartition("(")[2].rstrip(")").strip()
    return inside.upper() if len(inside) == CODE_LENGTH else text.upper()


async def _airports(visit: Visit, text: str, limit: int) -> list[Mapping[str, str]]:
    if not text:
        return []
    code = _code(text)
    asked = code if len(code) == CODE_LENGTH else text
    try:
        found = await visit.api.get("/api/v1/airports", q=asked, limit=limit)
    except Refused as error:
        if error.status != UNPROCESSABLE:
            raise
        return []
    data: list[Mapping[str, str]] = found["data"]
    return data


ROUTES: list[tuple[str, str, Handler]] = [
    ("/", "GET", home),
    ("/flights", "GET", flights),
    ("/airports", "GET", airports),
]
