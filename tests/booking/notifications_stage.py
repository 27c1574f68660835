"""What letters are about, where they arrive, and how to read one."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from html.parser import HTMLParser
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult
from icalendar import Calendar

from skyhold.booking.models.booking import Booking, BookingStatus, Passenger, PassengerType
from skyhold.booking.models.payment import Failure, Payment, PaymentStatus
from skyhold.booking.models.user import Role, User
from skyhold.booking.services.letters import Letters
from skyhold.booking.services.news import News
from skyhold.contracts.holds import HeldSegment
from skyhold.kernel.messaging import Event
from skyhold.kernel.money import Money

MAIL_FROM = "Skyhold <bookings@skyhold.example>"
NOW = datetime(2026, 11, 30, 10, 0, 0, tzinfo=UTC)
FLIGHT = "UA1545-2026-12-01-EWR"
TYPES = {
    "booking.held": BookingStatus.HELD,
    "booking.confirmed": BookingStatus.CONFIRMED,
    "booking.cancelled": BookingStatus.CANCELLED,
    "booking.expired": BookingStatus.EXPIRED,
    "booking.flight_changed": BookingStatus.CONFIRMED,
    "payment.declined": BookingStatus.HELD,
    "payment.refunded": BookingStatus.CANCELLED,
}
RESCHEDULED = {
    "flight_id": FLIGHT,
    "kind": "rescheduled",
    "was": {
        "departing_at": "2026-12-01T05:15:00-05:00",
        "arriving_at": "2026-12-01T08:19:00-06:00",
    },
    "now": {
        "departing_at": "2026-12-01T07:45:00-05:00",
        "arriving_at": "2026-12-01T10:52:00-06:00",
    },
}
CANCELLED = RESCHEDULED | {"kind": "cancelled", "now": None}

letters = Letters(MAIL_FROM)


# --- what they are about ---------------------------------------------------------------------


def a_segment(
    departing_at: str = "2026-12-01T05:15:00-05:00",
    arriving_at: str = "2026-12-01T08:19:00-06:00",
    route: str = "EWR-IAH",
    **more: Any,
) -> HeldSegment:
    """A flight as it was promised, by default UA1545 from Newark to Houston."""
    origin, destination = route.split("-")
    facts = {
        "flight_id": f"UA1545-{departing_at[:10]}-{origin}",
        "flight_number": "UA1545",
        "origin": origin,
        "destination": destination,
        "departing_at": departing_at,
        "arriving_at": arriving_at,
        "cabin": "economy",
        "seats": ["12A", "12B"],
        "fare": {"amount": "129.00", "currency": "USD"},
    }
    return HeldSegment.model_validate(facts | more)


def a_booking(status: BookingStatus, *segments: HeldSegment) -> Booking:
    return Booking(
        id="0198c0de-0000-7000-8000-000000000001",
        user_id="0198c0de-0000-7000-8000-00000000000a",
        record_locator="K7Q2MX",
        idempotency_key=None,
        request_digest=None,
        status=status,
        segments=segments or (a_segment(),),
        passengers=(
            Passenger("Ada", "Lovelace", PassengerType.ADULT, None),
            Passenger("Charles", "Babbage", PassengerType.ADULT, None),
        ),
        total=Money(25_800, "USD"),
        payment_required_by=NOW + timedelta(minutes=15),
        active_payment_id=None,
        hold_open=True,
        due_at=None,
        attempts=0,
        ver=3,
        created_at=NOW,
    )


def a_user(name: str = "Ada Lovelace", email: str = "ada@example.com") -> User:
    return User("0198c0de-0000-7000-8000-00000000000a", name, email, "", "", Role.CUSTOMER, NOW)


def a_payment(status: PaymentStatus, failure: Failure | None = None) -> Payment:
    money = Money(25_800, "USD")
    return Payment(
        "pay", "bkg", "usr", None, None, status, failure, money, "", NOW, attempts=0, created_at=NOW
    )


def an_event(type_: str, subject: str, **more: Any) -> Event:
    wanted = {"id": "0198c0de-1111-7000-8000-000000000001", "sequence": 3, "data": {}} | more
    return Event(type=type_, subject=subject, occurred_at=NOW, source="/skyhold/booking", **wanted)


def news(
    type_: str,
    *segments: HeldSegment,
    status: BookingStatus | None = None,
    user: User | None = None,
    payment: Payment | None = None,
    changes: Any = None,
    **event: Any,
) -> News:
    """Something to tell Ada, about a booking as it would be then."""
    booking = a_booking(status or TYPES[type_], *segments)
    if changes is not None:
        event["data"] = {"changes": changes}
    return News(an_event(type_, booking.id, **event), booking, user or a_user(), payment)


def about(type_: str) -> News:
    """News of every kind, each with what usually goes with it."""
    money = {"booking.cancelled": PaymentStatus.REFUND_DUE, "payment.refunded": "refunded"}
    paid = a_payment(PaymentStatus(money[type_])) if type_ in money else None
    changes = [RESCHEDULED] if type_ == "booking.flight_changed" else None
    return news(type_, payment=paid, changes=changes)


def with_passenger(told: News, given_name: str, family_name: str) -> News:
    who = Passenger(given_name, family_name, PassengerType.ADULT, None)
    return replace(told, booking=replace(told.booking, passengers=(who, who)))


# --- how to read one -------------------------------------------------------------------------


def read(letter: Any) -> Any:
    """The letter as it arrives: written out and parsed again."""
    return message_from_bytes(letter.as_bytes(), policy=policy.default)


def text_of(letter: Any) -> str:
    """The text of it, with the minus signs of offsets as they are on a keyboard."""
    return letter.get_body(["plain"]).get_content().replace("\N{MINUS SIGN}", "-")


def html_of(letter: Any) -> str:
    """The HTML of it, likewise."""
    return letter.get_body(["html"]).get_content().replace("\N{MINUS SIGN}", "-")


def words(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())


def shown(html: str) -> str:
    """What a reader sees of the HTML, on one line."""
    reader = _Reader()
    reader.feed(html)
    return words(" ".join(reader.seen))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen, self._hidden = [], False

    def handle_starttag(self, tag, attrs):
        self._hidden = tag in {"title", "style", "script"}

    def handle_endtag(self, tag):
        self._hidden = False

    def handle_data(self, data):
        if not self._hidden:
            self.seen.append(data)


def calendar_of(letter: Any) -> Calendar | None:
    """The calendar that came with it."""
    found = [part for part in letter.walk() if part.get_content_type() == "text/calendar"]
    return Calendar.from_ical(found[0].get_payload(decode=True)) if found else None


# --- where they arrive -----------------------------------------------------------------------


class PostOffice:
    """An SMTP server's mind: what it has been given, and what it answers.

    `answers` are by command, and used up one after the other; without one everything is taken.
    """

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.envelopes: list[Any] = []
        self.sessions: list[Any] = []
        self.answers: dict[str, list[Any]] = {}
        self.deaf = asyncio.Event()

    async def _answer(self, command: str) -> str | None:
        answers = self.answers.get(command, [])
        answer = answers.pop(0) if answers else None
        if answer == "silence":
            self.deaf.set()
            await asyncio.Event().wait()
        return answer

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802
        envelope.mail_from = address
        return await self._answer("MAIL") or "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        envelope.rcpt_tos.append(address)
        return await self._answer("RCPT") or "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if answer := await self._answer("DATA"):
            return answer
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))
        self.envelopes.append(envelope)
        self.sessions.append(session)
        return "250 2.0.0 taken"

    async def handle_QUIT(self, server, session, envelope):  # noqa: N802
        return await self._answer("QUIT") or "221 Bye"


@asynccontextmanager
async def smtp_server(office: PostOffice, *, tls: ssl.SSLContext | None = None, **settings: Any):
    """A real SMTP server for it; answers its port. With `tls`, TLS from the first byte on."""
    servers: list[SMTP] = []

    def factory() -> SMTP:
        server = SMTP(office, hostname="localhost", **{"enable_SMTPUTF8": True} | settings)
        servers.append(server)
        return server

    loop = asyncio.get_running_loop()
    listening = await loop.create_server(factory, "127.0.0.1", 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        left = [server._handler_coroutine for server in servers if server._handler_coroutine]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await listening.wait_closed()


def authenticator(user: str, password: str):
    def check(server, session, envelope, mechanism, auth_data):
        known = (auth_data.login, auth_data.password) == (user.encode(), password.encode())
        return AuthResult(success=known, handled=known)

    return check


def certificate(folder) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A certificate that signs itself: what the server shows, and what a client trusts."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        [*request.split(), "-keyout", key, "-out", cert, *names],
        check=True,
        capture_output=True,
        timeout=30,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    return server, ssl.create_default_context(cafile=str(cert))
