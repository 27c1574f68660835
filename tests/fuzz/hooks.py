"""What schemathesis cannot know: who may ask for what. And the count of what was asked.

Loaded inside schemathesis, which runs in a process of its own; the environment says where the
services are.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx
import schemathesis
from pydantic import ValidationError

from fuzz.excuses import excused
from fuzz.stage import FLIGHT, FLIGHT_TO_PAY, FLIGHTS, SAFE_FLIGHT
from skyhold.booking.schemas.bookings import NewBooking
from skyhold.booking.schemas.payments import NewPayment
from skyhold.contracts.holds import Commands, HoldWanted
from skyhold.flight.schemas.flights import NewFlight
from skyhold.kernel.ids import new_id
from support.system import PASSWORD, System
from support.traveller import passengers

BOOKING_URL = os.environ["FUZZ_BOOKING_URL"]
TALLY = Path(os.environ["FUZZ_TALLY"])
# These end a session or an account: each time somebody's who is needed for nothing else.
ENDING = frozenset(
    {"logout", "change_password", "end_session", "end_other_sessions", "delete_account", "refresh"}
)

CALLERS = {
    "holds": {"name": "booking", "to": "flight", "scope": "holds"},
    "for services": {"name": "flight", "to": "booking", "scope": "sessions"},
}

_people = itertools.count(1)
_holds = itertools.count()
_booked: set[str] = set()
_answers: Counter[tuple[str, int]] = Counter()


def _somebody() -> str:
    """The access token of someone new."""
    who = {"email": f"fuzz-{next(_people)}-{os.getpid()}@example.com", "password": PASSWORD}
    with httpx.Client(base_url=f"{BOOKING_URL}/api/v1/users", timeout=60) as http:
        http.post("/register", json=who | {"name": "Ada"}).raise_for_status()
        token: str = http.post("/login", json=who).raise_for_status().json()["access_token"]
    return f"Bearer {token}"


_customer = _somebody()
_nowhere = System(None, None)


@schemathesis.auth(refresh_interval=None)
class WhoMay:
    """Whoever an operation is for, as the document says it."""

    def get(self, case, context):
        definition = context.operation.definition.raw
        ways = definition.get("security", [])
        if {"service": []} in ways:
            # For a minute, so a new one each time.
            return _nowhere.service(**CALLERS[definition["tags"][0]])["authorization"]
        if {"bearer": ["staff"]} in ways:
            return _nowhere.staff()["authorization"]
        if definition["operationId"] in ENDING:
            return _somebody()
        return _customer if ways else None

    def set(self, case, data, context):
        if data is not None:
            case.headers["Authorization"] = data


@schemathesis.hook
def map_case(context, case):
    """What is well-formed makes sense too, most of the time: there is more to see than refusals."""
    model, sensible = SENSIBLE.get(case.operation.definition.raw["operationId"], (None, None))
    if model and len(repr(case.body)) % 4:
        # What is wrong on purpose stays as it is.
        with suppress(ValidationError):
            model.model_validate(case.body)
            case.body = case.body | sensible(case.body)
            if "hold_id" in case.path_parameters and next(_holds) % 2:
                case.path_parameters["hold_id"] = new_id()  # the one named may be gone
    return case


def _booking(body):
    return {"segments": [_segment(body)], "expected_total": None}


def _hold(body):
    return {"segments": [_segment(body) | {"count": 2}], "expected_total": None, "ttl_s": 60}


def _commands(body):
    return {
        "commands": [
            command | {"wanted": command["wanted"] | _hold(command["wanted"])}
            if command["do"] == "hold"
            else command
            for command in body["commands"]
        ]
    }


def _segment(body):
    wanted = body["segments"][0]["flight_id"]
    return {"flight_id": wanted if wanted in FLIGHTS else SAFE_FLIGHT}


def _payment(body):
    """For a booking there is: one that a link named, or a new one that can be paid for."""
    if body["booking_id"] in _booked:
        return {}
    wanted = {"segments": [{"flight_id": FLIGHT_TO_PAY}], "passengers": passengers(1)}
    headers = {"Authorization": _customer}
    with httpx.Client(base_url=BOOKING_URL, headers=headers, timeout=60) as http:
        made = http.post("/api/v1/bookings", json=wanted).raise_for_status().json()
    return {"booking_id": made["id"], "payment_token": "tok_visa"}


def _flight(_):
    return FLIGHT | {"number": next(_numbers)}


SENSIBLE = {
    "create_booking": (NewBooking, _booking),
    "pay": (NewPayment, _payment),
    "put_hold": (HoldWanted, _hold),
    "carry_out": (Commands, _commands),
    "add_flight": (NewFlight, _flight),
}
_numbers = itertools.count(1_000)


@schemathesis.hook
def after_call(context, case, response):
    _answers[case.operation.label, response.status_code] += 1
    if (
        case.operation.definition.raw["operationId"] == "create_booking"
        and response.status_code == 201
    ):
        _booked.add(response.json()["id"])


@schemathesis.hook
def filter_failure(context, failure, case, response):
    return not excused(failure, case, response)


@atexit.register
def _write_tally() -> None:
    rows = [[label, status, times] for (label, status), times in sorted(_answers.items())]
    TALLY.write_text(json.dumps(rows), encoding="utf-8")
