"""Where a check of schemathesis is wrong about us, place by place.

`positive_data_acceptance` wants a request accepted that fits the schema. Some rules no schema can
say; each stands here with the operations it is about. Anything else that is refused fails.
"""

from __future__ import annotations

import re

from schemathesis.openapi.checks import (
    AllowHeaderMismatch,
    RejectedPositiveData,
    UnsupportedMethodResponse,
    UseAfterFree,
)

# A refusal with a code of its own is a rule of the trade: there is no such seat, airport, cabin...
TRADE = {
    "add_flight": {"unknown_airline", "unknown_airport", "unknown_aircraft", "impossible_flight"},
    "change_flight": {"impossible_flight"},
    "create_booking": {
        "duplicate_seat",
        "idempotency_key_reused",
        "mixed_currencies",
        "seat_blocked",
        "segments_overlap",
        "unknown_cabin",
        "unknown_seat",
        "wrong_cabin",
    },
    "list_airports": {"invalid_cursor"},  # a cursor is opaque: nobody can make one up
    "list_bookings": {"invalid_cursor"},
    "list_sessions": {"invalid_cursor"},
    "find_bookings": {"invalid_cursor"},
    "get_timeline": {"invalid_cursor"},
    "pay": {"idempotency_key_reused", "card_data_not_accepted"},
    "put_hold": {
        "duplicate_seat",
        "hold_request_differs",
        "mixed_currencies",
        "seat_blocked",
        "segments_overlap",
        "unknown_cabin",
        "unknown_seat",
        "wrong_cabin",
    },
    "search_flights": {"invalid_cursor", "unknown_airport"},
}
# Of the plain 422 `invalid`: these fields, for these reasons.
_MONEY = r"\w+ has \d decimals|the amount is more than"
_MAIL = r".*"  # RFC 5321 and 5322 say far more of an address than `format: email`
_FLOAT = r"Input should be a valid integer"  # JSON Schema takes 2.0 for one, and we do not
_COMMON = r"is one of the most common passwords"
_YEARS = r"the year must lie between|is too far away"
INPUT = {
    "add_flight": {
        r"fares\..*": _MONEY,
        r"number": _FLOAT,
        r"(departing|arriving)_at": _YEARS,
    },
    "carry_out": {
        r"commands\.\d+\.hold\.wanted\.expected_total": _MONEY,
        r"commands\.\d+\.hold\.wanted\.(ttl_s|segments\.\d+\.count)": _FLOAT,
    },
    "change_flight": {r"fares\..*": _MONEY, r"(departing|arriving)_at": _YEARS},
    "change_password": {r"new_password": _COMMON},
    "create_booking": {
        r"expected_total": _MONEY,
        r"passengers\.\d+\.(given|family)_name": r"must be text that can be printed",
        r"passengers\.\d+\.born_on": r"Date should be|Input should be greater than or equal to",
        r"body": r"each segment needs exactly one seat per passenger",
    },
    "find_bookings": {
        r"query": r"give exactly one of",
        r"query\.family_name": r"must be text that can be printed",
    },
    "login": {r"email": _MAIL},
    "put_hold": {r"expected_total": _MONEY, r"ttl_s|segments\.\d+\.count": _FLOAT},
    "register": {
        r"password": _COMMON,
        r"email": _MAIL,
        r"name": r"must be text that can be printed",
    },
    "search_flights": {r"date": _YEARS},
}
# `use_after_free` wants what was deleted gone. These stay: DELETE cancels a booking, and releases a
# hold, and both can be looked at, and cancelled or released again, ever after.
STAYS = ("/api/v1/bookings/", "/api/v1/holds/")
# No schema says that no text has it; PostgreSQL would choke on it.
NUL = "The query has a NUL character."
# By its address this could be a hold too, and one of that id is asked for by other methods: 422.
ALSO_AN_ID = "/api/v1/holds/batch"


def excused(failure, case, response) -> bool:
    """Whether the check is wrong here."""
    if isinstance(failure, UseAfterFree):
        return case.operation.path.startswith(STAYS)
    if isinstance(failure, AllowHeaderMismatch | UnsupportedMethodResponse):
        return case.operation.path == ALSO_AN_ID
    if isinstance(failure, RejectedPositiveData) and response.status_code == 422:
        operation, problem = case.operation.definition.raw["operationId"], response.json()
        if problem["code"] != "invalid":
            return problem["code"] in TRADE.get(operation, ())
        rules = INPUT.get(operation, {})
        if problem["detail"] == NUL:
            return True
        errors = problem.get("errors", ())
        return bool(errors) and all(_is_covered(error, rules) for error in errors)
    return False


def _is_covered(error, rules) -> bool:
    return any(
        re.fullmatch(field, error["field"]) and re.match(message, error["message"])
        for field, message in rules.items()
    )
