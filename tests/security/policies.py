"""Who may do what: for every route, and everybody who may knock, the statuses that they get.

The races that belong here too stand elsewhere:

    100 payments of one booking at once, one capture   journeys/test_races.py
        test_a_hundred_payments_at_once_capture_once
    50 bookings of one seat at once, one 201           journeys/test_races.py
        test_fifty_buyers_for_the_same_seat; 100 of them, over HTTP: test_matrix.py
    20 registrations of one e-mail at once             booking/test_users.py
        test_twenty_registrations_of_one_email_at_once_are_one_account
    a key of A tells B nothing                         journeys/test_races.py
        test_the_same_request_twenty_times_at_once_makes_one_booking; test_matrix.py
    another service's hold does not exist              flight/test_holds.py
        test_another_services_hold_does_not_exist_and_stays_as_it_is
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

BROKEN = (
    "expired",
    "logged out",
    "a refresh token",
    "another audience",
    "no algorithm",
    "tampered",
    "deleted",
)
COOKIES = ("cookie without proof", "cookie from elsewhere", "cookie with proof")
IDENTITIES = (
    "nobody",
    "owner",
    "other",
    "staff",
    "admin",
    "service",
    "another service",
    *BROKEN,
    *COOKIES,
)

Statuses = frozenset[int]
Served = Literal["booking", "flight", "both"]


@dataclass(frozen=True)
class Policy:
    """The statuses of one route, by identity.

    With `hides` there is something of the owner's behind it, and for the other one it looks the
    same as what is not there.
    """

    cells: Mapping[str, Statuses]
    hides: bool = False


def _policy(rest: int | set[int], *, hides: bool = False, **cells: int | set[int]) -> Policy:
    """`rest` for everybody who is not named; `broken` and `persons` are several at once."""
    groups = {"broken": BROKEN, "persons": ("owner", "other", "staff", "admin")}
    groups |= {"services": ("service", "another service"), "cookies": COOKIES}
    found = dict.fromkeys(IDENTITIES, _set(rest))
    for name, statuses in cells.items():
        for one in groups.get(name, (name.replace("_", " "),)):
            assert one in found, one
            found[one] = _set(statuses)
    return Policy(found, hides)


def _set(statuses: int | set[int]) -> Statuses:
    return frozenset({statuses} if isinstance(statuses, int) else statuses)


def _public(status: int | set[int] = 200) -> Policy:
    return _policy(status)


def _opens_an_account_or_session(status: int) -> Policy:
    return _policy(status, cookie_without_proof={status, 403}, cookie_from_elsewhere=403)


def _own(status: int) -> Policy:
    """Everybody's own, by a safe method."""
    return _policy(401, persons=status, cookies=status)


def _changes_own(status: int | set[int]) -> Policy:
    """Everybody's own, by an unsafe method."""
    return _policy(
        401,
        persons=status,
        cookie_without_proof=403,
        cookie_from_elsewhere=403,
        cookie_with_proof=status,
    )


def _owners(status: int, *, desk: int) -> Policy:
    """The owner's, by a safe method; `desk` is what staff get."""
    return _policy(401, owner=status, other=404, staff=desk, admin=desk, cookies=status, hides=True)


def _changes_owners(status: int | set[int], *, desk: int) -> Policy:
    return _policy(
        401,
        owner=status,
        other=404,
        staff=desk,
        admin=desk,
        cookie_without_proof=403,
        cookie_from_elsewhere=403,
        cookie_with_proof=status,
        hides=True,
    )


def _staff(status: int) -> Policy:
    return _policy(403, nobody=401, broken=401, staff=status, admin=status)


def _services(status: int | set[int], *, another: int | set[int]) -> Policy:
    """For services; cookies are not for them, so they count for nothing there."""
    return _policy(
        401,
        persons=403,
        service=status,
        another_service=another,
        cookies={401, 403},
    )


POLICIES: Mapping[str, Policy] = {
    "POST /api/v1/users/register": _opens_an_account_or_session(201),
    "POST /api/v1/users/login": _opens_an_account_or_session(200),
    "POST /api/v1/users/refresh": _policy(
        401,
        owner=200,
        cookie_without_proof=403,
        cookie_from_elsewhere=403,
        cookie_with_proof=200,
    ),
    "POST /api/v1/users/logout": _policy(
        204, services=401, cookie_without_proof=403, cookie_from_elsewhere=403
    ),
    "GET /api/v1/users/me": _own(200),
    "GET /api/v1/users/me/sessions": _own(200),
    "GET /api/v1/users/me/export": _own(200),
    "PUT /api/v1/users/me/password": _changes_own(204),
    "DELETE /api/v1/users/me/sessions": _changes_own(204),
    "POST /api/v1/users/me/deletion": _changes_own(204),
    "DELETE /api/v1/users/me/sessions/{session_id}": _changes_owners(204, desk=404),
    "GET /api/v1/bookings": _own(200),
    "POST /api/v1/bookings": _changes_own(201),
    "GET /api/v1/bookings/{booking_id}": _owners(200, desk=200),
    "PATCH /api/v1/bookings/{booking_id}": _changes_owners(200, desk=200),
    "DELETE /api/v1/bookings/{booking_id}": _changes_owners(200, desk=200),
    "GET /api/v1/bookings/{booking_id}/timeline": _owners(200, desk=200),
    "GET /api/v1/bookings/{booking_id}/calendar": _owners(200, desk=200),
    "POST /api/v1/bookings/payments": _changes_owners({201, 202}, desk=404),
    "GET /api/v1/desk/bookings": _staff(200),
    "GET /api/v1/desk/bookings/{booking_id}/story": _staff(200),
    "GET /api/v1/desk/overview": _staff(200),
    "GET /api/v1/airports": _public(),
    "GET /api/v1/flights": _public(),
    "GET /api/v1/flights/{flight_id}": _public(),
    "GET /api/v1/flights/{flight_id}/seats": _public(),
    "POST /api/v1/flights": _staff(201),
    "PATCH /api/v1/flights/{flight_id}": _staff(200),
    "GET /api/v1/holds": _services(200, another=200),
    "POST /api/v1/holds/batch": _services(200, another=200),
    "PUT /api/v1/holds/{hold_id}": _services(201, another=201),
    "GET /api/v1/holds/{hold_id}": _services(200, another=404),
    "DELETE /api/v1/holds/{hold_id}": _services(200, another=404),
    "PUT /api/v1/holds/{hold_id}/confirmation": _services(200, another=404),
    "PUT /api/v1/holds/{hold_id}/claims": _services(200, another=404),
    "GET /api/v1/sessions/ended": _services(200, another=200),
    "GET /.well-known/jwks.json": _public(),
    "GET /livez": _public(),
    "GET /readyz": _public(),
    "GET /problems": _public(),
    "GET /problems/{code}": _public(),
    # Not in the documents:
    "GET /": _public({200, 307, 404}),
    "GET /docs": _public(),
    "GET /openapi.json": _public(),
    "GET /metrics": _public(),
    "GET /swagger/swagger-ui-bundle.js": _public(),
    "GET /swagger/swagger-ui.css": _public(),
    "GET /swagger/start.js": _public(),
    "GET /swagger/favicon-32x32.png": _public(),
    # Whoever knows the payment's id, which nobody can guess, is its payer; here nobody does.
    "GET /sandbox/challenges/{payment_id}": _public(404),
    "POST /sandbox/challenges/{payment_id}/{decision}": _public({403, 404}),
    # Believed by its signature alone; where another provider is in use, nobody is there.
    "POST /api/v1/payments/webhooks/stripe": _public({403, 404}),
}
UNDOCUMENTED = frozenset(list(POLICIES)[list(POLICIES).index("GET /") :])


def rows() -> list[str]:
    """The matrix as docs/security.md shows it: a line a documented route."""
    return [_row(name, policy) for name, policy in POLICIES.items() if name not in UNDOCUMENTED]


def _row(name: str, policy: Policy) -> str:
    shown = [
        " or ".join(map(str, sorted(set().union(*(policy.cells[one] for one in identities)))))
        for identities in (
            ("nobody",),
            ("owner",),
            ("other",),
            ("staff", "admin"),
            ("service",),
            ("another service",),
            BROKEN,
            *((one,) for one in COOKIES),
        )
    ]
    return f"| {name.replace('/api/v1', '')} | {' | '.join(shown)} |"
