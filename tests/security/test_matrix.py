"""Every route by everybody who may knock."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio
from fastapi.routing import iter_route_contexts

from skyhold import embedded
from skyhold.booking.settings import BookingSettings
from skyhold.flight.settings import FlightSettings
from support.system import SETTINGS
from support.traveller import Traveller, passengers

from .corpus import UUID_OF_NOBODY
from .lab import Lab, Person
from .people import People, in_role
from .policies import IDENTITIES, POLICIES, UNDOCUMENTED, rows
from .templates import TEMPLATES, Request, Template, plain, session_of
from .test_corpus import wrong_with
from .wire import Answer, Line, request

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Whoever is asked for these loses what they are asked with, so each time it is somebody new.
SPENDS = ("/users/refresh", "/users/logout", "/users/me/password", "/me/sessions", "/deletion")
HIDDEN = [name for name, policy in POLICIES.items() if policy.hides]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def people(lab) -> People:
    return await People.gather(lab)


def template_of(name: str) -> Template:
    if name in TEMPLATES:
        return TEMPLATES[name]
    ids = {"payment_id": UUID_OF_NOBODY, "decision": "approve", "booking_id": UUID_OF_NOBODY}
    path = {key: value for key, value in ids.items() if f"{{{key}}}" in name}
    return Template("booking", plain(path=path))


class Knocking:
    """One request to one route, as one of the people."""

    def __init__(self, lab: Lab, people: People, name: str) -> None:
        self.lab, self.people, self.name = lab, people, name
        self.template = template_of(name)
        self.spends = any(part in name for part in SPENDS)

    async def stage(self, identity: str) -> People:
        """The people; where the request spends something, with somebody new in that place."""
        if not self.spends:
            return self.people
        new = {"owner": await self.lab.person()}
        if identity == "other":
            new["other"] = await self.lab.person()
        if identity in {"staff", "admin"}:
            new[identity] = await in_role(self.lab, identity)
        return dataclasses.replace(self.people, **new)

    async def good(self, identity: str, people: People) -> Request:
        """A valid request about something of the owner's."""
        owner = people.owner
        if self.name.endswith("/users/refresh"):
            if identity.startswith("cookie"):
                return Request()
            token = owner.refresh_token if identity == "owner" else "x"
            return Request(body={"refresh_token": token})
        if "{session_id}" in self.name:
            other = await self.lab.session(owner.email)
            return Request(path={"session_id": session_of(other.token)})
        if "/bookings/" in self.name:
            wanted = self.lab.journey if self.name.endswith("/calendar") else self.lab.booking
            made = await wanted(by=traveller(self.lab, owner))
            if self.name.endswith("/payments"):
                return Request(body={"booking_id": made["id"], "payment_token": "tok_visa"})
            good = Request(path={"booking_id": made["id"]})
            cancels = self.name.startswith("PATCH")
            return dataclasses.replace(good, body={"status": "cancelled"} if cancels else None)
        good = await self.template.make(self.lab)
        return dataclasses.replace(good, token=None)

    async def send(self, identity: str, good: Request, people: People) -> Answer:
        method, path = self.name.split()
        asked = "&".join(f"{key}={quote(value, safe='')}" for key, value in good.query.items())
        target = path.format_map(good.path) + (f"?{asked}" if asked else "")
        headers = people.headers(identity, self.template.service, people.owner)
        body = None if good.body is None else json.dumps(good.body).encode()
        if body is not None:
            headers["Content-Type"] = "application/json"
        return await self.lab.ask(self.template.service, request(method, target, headers, body))


def traveller(lab: Lab, person: Person) -> Traveller:
    return Traveller(lab.system.bookings_http, person.token, person.email)


# --- every route has a policy -----------------------------------------------------------------


def routes_of_both(folder) -> set[str]:
    """What one process with both services serves: all routes there are, documented or not."""
    wanted = SETTINGS | {"data_dir": folder}
    kinds = (BookingSettings, FlightSettings)
    settings = [
        kind(_env_file=None, **{k: v for k, v in wanted.items() if k in kind.model_fields})
        for kind in kinds
    ]
    app = embedded.create_app(embedded.wire(*settings))
    while not hasattr(app, "routes"):
        inner = vars(app)  # of the pages, what is behind them: they are a client like any other
        app = inner.get("app") or inner.get("_app") or inner["_api"]
    found = set()
    for context in iter_route_contexts(app.routes):
        for method in context.methods or ():
            # only_post says 405 for an address that another route would take for an id.
            if method != "HEAD" and context.name != "only_post":
                found.add(f"{method} {context.path_format}")
    return found


async def test_every_route_has_a_policy_and_every_policy_a_route(documents, tmp_path):
    documented = {operation.name for each in documents.values() for operation in each}
    assert documented == POLICIES.keys() - UNDOCUMENTED
    served = routes_of_both(tmp_path)
    # Sessions are asked for between services; with both in one process nobody asks.
    assert served | {"GET /api/v1/sessions/ended"} == set(POLICIES)


IN_THE_TABLE = tuple(f"| {method} /" for method in ("GET", "POST", "PUT", "PATCH", "DELETE"))


async def test_the_document_shows_the_matrix_that_is_tested():
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if line.startswith(IN_THE_TABLE)] == rows()


# --- the matrix -------------------------------------------------------------------------------


@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize("name", POLICIES)
async def test_who_may_do_what(lab, people, name, identity):
    knocking = Knocking(lab, people, name)
    stage = await knocking.stage(identity)
    answer = await knocking.send(identity, await knocking.good(identity, stage), stage)
    lab.tally.cells += 1
    assert answer.status in POLICIES[name].cells[identity], (answer.status, answer.body)
    if answer.status >= 400 and "/sandbox/" not in name:  # that is a page, for people
        assert wrong_with(answer, sent=b"", statuses=frozenset()) is None, answer.body


@pytest.mark.parametrize("name", HIDDEN)
async def test_what_is_not_mine_looks_to_the_letter_like_what_is_not_there(lab, people, name):
    knocking = Knocking(lab, people, name)
    good = await knocking.good("other", people)
    nobodys = dataclasses.replace(good, path=dict.fromkeys(good.path, UUID_OF_NOBODY))
    if good.body and "booking_id" in good.body:
        nobodys = dataclasses.replace(good, body=good.body | {"booking_id": UUID_OF_NOBODY})
    not_mine, not_there = [
        to_the_letter(await knocking.send("other", asked, people)) for asked in (good, nobodys)
    ]
    assert not_mine == not_there


def to_the_letter(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of an answer but its own id and the time of day."""
    id_ = answer.header("x-request-id")
    changing = {"x-request-id", "date", "ratelimit", "x-ratelimit-remaining"}
    headers = [each for each in answer.headers if each[0] not in changing]
    return answer.status, headers, answer.body.replace(id_.encode(), b"")


@pytest.mark.parametrize(
    "body", [{"status": "confirmed"}, {"price": 0}, {"user_id": UUID_OF_NOBODY}, {"status": None}]
)
@pytest.mark.parametrize(
    ("identity", "statuses"), [("nobody", {401}), ("owner", {422}), ("other", {404, 422})]
)
async def test_nobody_makes_a_booking_into_something_else(lab, people, body, identity, statuses):
    knocking = Knocking(lab, people, "PATCH /api/v1/bookings/{booking_id}")
    good = await knocking.good(identity, people)
    answer = await knocking.send(identity, dataclasses.replace(good, body=body), people)
    assert answer.status in statuses, answer.body
    seen = await knocking.send("owner", good, people)
    assert seen.json()["status"] == "cancelled", "until then it could still be cancelled"


# --- many at once -----------------------------------------------------------------------------


async def test_of_a_hundred_who_want_one_seat_one_gets_it(lab, people):
    flight, seat = await lab.place()
    buyers = [people.owner, people.other, people.staff, people.admin]
    body = {"segments": [{"flight_id": flight, "seats": [seat]}], "passengers": passengers(1)}

    async def book(nr: int) -> Answer:
        headers = {"Authorization": f"Bearer {buyers[nr % 4].token}"}
        headers["Content-Type"] = "application/json"
        line = Line(lab.servers.booking.url)
        try:
            content = request("POST", "/api/v1/bookings", headers, json.dumps(body).encode())
            return await line.ask(content)
        finally:
            await line.close()

    answers = await asyncio.gather(*(book(nr) for nr in range(100)))
    outcomes = Counter((answer.status, answer.code) for answer in answers)
    assert outcomes[201, None] == 1
    assert set(outcomes) == {(201, None), (409, "seat_unavailable")}


async def test_a_key_that_somebody_used_tells_others_nothing(lab, people):
    """Neither that it was used, nor for what: theirs is theirs."""
    owner, other = traveller(lab, people.owner), traveller(lab, people.other)
    first, second = [(await lab.place()) for _ in range(2)]
    mine = await owner.book(first[0], seats=[first[1]], key="mine")
    assert mine.status == 201
    theirs = await other.book(second[0], seats=[second[1]], key="mine")
    assert theirs.status == 201
    assert theirs["id"] != mine["id"]
    assert "idempotent-replayed" not in theirs.headers
    assert (await owner.pay(mine, key="paid")).status in {201, 202}
    assert (await other.pay(mine, key="paid")).status == 404
