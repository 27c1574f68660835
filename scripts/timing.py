#!/usr/bin/env python3
"""Measure whether the time of an answer tells what its words do not.

    python scripts/timing.py http://127.0.0.1:4000 [--pairs 120] [--seconds 120]

Two questions, each asked in pairs that follow one another at once, the order drawn by lot:

    login      an e-mail that nobody has, against a wrong password
    booking    a booking of somebody else, against one that is not there

The server should be `skyhold serve --demo`, with its usual BCRYPT_COST and no limits on
requests and logins, or most answers are 429. For each question this prints the two medians with
the middle half of the times, their ratio, and how often chance alone would give medians that
differ so much (a permutation test: within a pair, which is which is drawn anew). A ratio near 1
and a p above 0.05 say that there is nothing to be learned from the time.
"""

import argparse
import random
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx

REDRAWS = 2_000
WARM_UP = 5
NOBODY = "018f0000-0000-7000-8000-000000000000"
PASSWORD = "correct horse battery staple"  # noqa: S105 - of accounts that are made here

Ask = Callable[[], httpx.Response]
Pairs = list[tuple[float, float]]


def main() -> None:
    """Measure both questions and print the table."""
    parser = argparse.ArgumentParser(description="What the time of an answer tells.")
    parser.add_argument("url")
    parser.add_argument("--pairs", type=int, default=120, help="pairs of each question, at most")
    parser.add_argument("--seconds", type=float, default=120, help="for both questions together")
    given = parser.parse_args()
    with httpx.Client(base_url=f"{given.url}/api/v1/", timeout=60) as http:
        questions = {"login": login(http), "booking": booking(http)}
        print(f"{'question':10}{'pairs':>6}  {'one':>22}  {'other':>22}  {'ratio':>6}  {'p':>6}")
        for name, (one, other, status) in questions.items():
            many = given.pairs if name == "login" else 10 * given.pairs
            pairs = measured(one, other, status, many, given.seconds / len(questions))
            print(line(name, pairs))


def login(http: httpx.Client) -> tuple[Ask, Ask, int]:
    """An unknown e-mail, and a wrong password."""
    known = account(http)

    def ask(email: str) -> Ask:
        body = {"email": email, "password": "a wrong password, and a long one"}
        return lambda: http.post("users/login", json=body)

    return ask("x" + known), ask(known), 401


def booking(http: httpx.Client) -> tuple[Ask, Ask, int]:
    """Somebody else's booking, and one that is not there."""
    owner, other = (token(http, account(http)) for _ in range(2))
    day = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    query = {"origin": "JFK", "destination": "LAX", "date": day, "cabin": "economy"}
    flight = answered(http.get("flights", params=query), 200)["data"][0]["id"]
    body = {
        "segments": [{"flight_id": flight}],
        "passengers": [{"given_name": "Ada", "family_name": "Lovelace"}],
    }
    made = answered(http.post("bookings", json=body, headers=bearer(owner)), 201)["id"]

    def ask(booking_id: str) -> Ask:
        return lambda: http.get(f"bookings/{booking_id}", headers=bearer(other))

    return ask(made), ask(NOBODY), 404


def account(http: httpx.Client) -> str:
    """A new account; its e-mail."""
    email = f"timing-{secrets.token_hex(6)}@example.com"
    body = {"name": "Timing", "email": email, "password": PASSWORD}
    answered(http.post("users/register", json=body), 201)
    return email


def token(http: httpx.Client, email: str) -> str:
    """An access token of this account."""
    body = {"email": email, "password": PASSWORD}
    found: str = answered(http.post("users/login", json=body), 200)["access_token"]
    http.cookies.clear()
    return found


def bearer(token: str) -> dict[str, str]:
    """The header that shows it."""
    return {"authorization": f"Bearer {token}"}


def answered(reply: httpx.Response, status: int) -> dict:
    """The answer, or the end."""
    if reply.status_code != status:
        sys.exit(f"{reply.request.method} {reply.url}: {reply.status_code}, not {status}")
    return reply.json()


def measured(one: Ask, other: Ask, status: int, pairs: int, seconds: float) -> Pairs:
    """Milliseconds of both, in pairs."""
    for _ in range(WARM_UP):
        answered(one(), status)
        answered(other(), status)
    found: Pairs = []
    ends_at = time.monotonic() + seconds
    while len(found) < pairs and time.monotonic() < ends_at:
        if random.random() < 0.5:  # noqa: PLR2004, S311 - by lot
            first = milliseconds(one, status)
            found.append((first, milliseconds(other, status)))
        else:
            first = milliseconds(other, status)
            found.append((milliseconds(one, status), first))
    return found


def milliseconds(ask: Ask, status: int) -> float:
    """How long an answer took."""
    began_at = time.perf_counter()
    answered(ask(), status)
    return (time.perf_counter() - began_at) * 1_000


def line(name: str, pairs: Pairs) -> str:
    """One line of the table."""
    one, other = zip(*pairs, strict=True)
    ratio = statistics.median(one) / statistics.median(other)
    return (
        f"{name:10}{len(pairs):>6}  {spread(one):>22}  {spread(other):>22}"
        f"  {ratio:>6.3f}  {by_chance(pairs):>6.3f}"
    )


def spread(times: tuple[float, ...]) -> str:
    """The median, and where the middle half lies."""
    low, middle, high = statistics.quantiles(times, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f}) ms"


def by_chance(pairs: Pairs) -> float:
    """How often medians would differ at least so much if it made no difference which is which."""
    seen = apart(pairs)
    again = sum(
        apart([pair if random.random() < 0.5 else pair[::-1] for pair in pairs])  # noqa: PLR2004, S311
        >= seen
        for _ in range(REDRAWS)
    )
    return (again + 1) / (REDRAWS + 1)


def apart(pairs: Pairs) -> float:
    """The distance of the two medians."""
    one, other = zip(*pairs, strict=True)
    return abs(statistics.median(one) - statistics.median(other))


if __name__ == "__main__":
    main()
