"""Letters to travellers: what has happened to a booking, as an e-mail.

Composing is pure: the same news gives the same letter, under the same Message-ID.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from email_validator import EmailNotValidError, validate_email
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.payment import PaymentStatus
from skyhold.contracts.events import FlightTimes
from skyhold.kernel.ids import digest
from skyhold.kernel.settings import SettingsError

from . import itinerary
from .airports import airport
from .events import Happened
from .mail_headers import policy_for
from .news import Leg, News

BRAND = "Skyhold"
LINE_BYTES_MAX = 998
_TEMPLATES = Path(__file__).parents[1] / "templates"
_PART = r"""[^\s<>()\[\],;:@\\"\x7f-\U0010ffff]+"""
_SENDER = re.compile(rf"(?P<name>[^<>@]*)<(?P<named>{_PART}@{_PART})>|(?P<bare>{_PART}@{_PART})")
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_LINKING = re.compile(r"[.:/@](?=\S)")


@dataclass(frozen=True, slots=True)
class Kind:
    """The template of a letter, its subject line, and whether the calendar comes with it."""

    template: str
    subject: str
    calendar: bool = False


KINDS: Mapping[str, Kind] = {
    Happened.HELD: Kind("held", "Booking {}: your seats are held, please pay"),
    Happened.CONFIRMED: Kind("confirmed", "Booking {} is confirmed", calendar=True),
    Happened.CANCELLED: Kind("cancelled", "Booking {} is cancelled", calendar=True),
    Happened.EXPIRED: Kind("expired", "Booking {} has expired"),
    Happened.PAYMENT_DECLINED: Kind("declined", "Booking {}: your payment was declined"),
    Happened.PAYMENT_REFUNDED: Kind("refunded", "Booking {}: your refund"),
    Happened.FLIGHT_CHANGED: Kind(
        "flight_changed", "Booking {}: a flight has changed", calendar=True
    ),
}


class Unaddressable(Exception):
    """The user's e-mail address is none that a message can be sent to."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a flight leaves and arrives, in words."""

    departs: str
    arrives: str


@dataclass(frozen=True, slots=True)
class Flight:
    """One flight in a letter. `was` is there when its times have changed."""

    number: str
    origin: str
    destination: str
    times: Schedule
    was: Schedule | None
    cabin: str
    seats: tuple[tuple[str, str], ...]  # the seat, and who sits there
    changed: bool
    cancelled: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What the templates tell, worded once for the text and the HTML.

    The booking is `unpaid`, or just being paid (`paying`), or has `ended`, or is paid; one of its
    flights may be `grounded`.
    """

    subject: str
    brand: str
    name: str
    locator: str
    total: str
    flights: tuple[Flight, ...]
    pay_by: str
    unpaid: bool
    paying: bool
    grounded: bool
    ended: bool
    money_back: str


class Letters:
    """Composes letters in the name of `mail_from`. Raises SettingsError when that is no sender."""

    def __init__(self, mail_from: str) -> None:
        self.sender = _sender(mail_from)
        self._brand = self.sender.display_name or BRAND
        self._read: set[str] = set()
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=select_autoescape(enabled_extensions=("html",), default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )

    def have_read(self, news: News) -> bool:
        """Whether what such a letter needs is in memory, so that nobody waits for a disk."""
        return news.event.type in self._read

    def compose(self, news: News) -> EmailMessage:
        """The letter that tells the booking's owner. Raises Unaddressable.

        No name gets into a header: the recipient is an address and nothing else.
        """
        letter = self._compose(news)
        self._read.add(news.event.type)
        return letter

    def _compose(self, news: News) -> EmailMessage:
        kind = KINDS[news.event.type]
        facts = _facts(news, kind, self._brand)
        to = _recipient(news.user.email)
        letter = EmailMessage(policy=policy_for(to))
        letter["From"] = str(self.sender)
        letter["To"] = str(to)
        letter["Subject"] = facts.subject
        letter["Date"] = format_datetime(news.event.occurred_at)
        letter["Message-ID"] = f"<{_plain_id(news.event.id)}@{self.sender.domain}>"
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
        text = self._render(f"{kind.template}.txt", facts)
        html = self._render(f"{kind.template}.html", facts)
        letter.set_content(text, cte=_encoding(text))
        letter.add_alternative(html, subtype="html", cte=_encoding(html))
        letter.set_boundary("=_alternatives")
        if kind.calendar and news.was_confirmed:
            self._attach_calendar(letter, news)
            letter.set_boundary("=_parts")
        return letter

    def _render(self, template: str, facts: Facts) -> str:
        return self._templates.get_template(template).render(facts=facts)

    def _attach_calendar(self, letter: EmailMessage, news: News) -> None:
        journey = itinerary.Journey.told_by(news)
        letter.add_attachment(
            itinerary.calendar(journey, self.sender),
            subtype="calendar",
            charset="utf-8",
            cte="base64",
            params={"method": journey.method},
            filename=f"{news.booking.record_locator}.ics",
        )


def _encoding(text: str) -> str:
    """As it is, where every line is as short as mail servers want them (RFC 5321, 4.5.3.1.6).

    A server that takes no 8-bit text (RFC 6152) is sent another form of it by the SMTP client.
    """
    longest = max(map(len, text.encode().splitlines()), default=0)
    return "8bit" if longest <= LINE_BYTES_MAX else "quoted-printable"


def _sender(mail_from: str) -> Address:
    sender = _SENDER.fullmatch(mail_from)
    if sender is None or not mail_from.isprintable():
        msg = "MAIL_FROM must be a sender such as: Skyhold <bookings@skyhold.example>"
        raise SettingsError(msg)
    local, _, domain = (sender["named"] or sender["bare"]).partition("@")
    return Address((sender["name"] or "").strip(' "'), local, domain)


def _recipient(email: str) -> Address:
    try:
        valid = validate_email(email, check_deliverability=False)
    except EmailNotValidError:
        valid = None
    if valid is None:  # raised out here, so that no log shows the address with the cause
        raise Unaddressable
    return Address(username=valid.local_part, domain=valid.ascii_domain)


def _plain_id(event_id: str) -> str:
    return event_id if _PLAIN_ID.fullmatch(event_id) else digest(event_id)


def _facts(news: News, kind: Kind, brand: str) -> Facts:
    booking, legs = news.booking, news.legs()
    return Facts(
        subject=kind.subject.format(booking.record_locator),
        brand=brand,
        name=_person(news.user.name),
        locator=booking.record_locator,
        total=str(booking.total),
        flights=tuple(_flight(leg, news) for leg in legs),
        pay_by=_deadline(news),
        unpaid=booking.status is BookingStatus.HELD,
        paying=booking.status is BookingStatus.PAYING,
        ended=booking.status in {BookingStatus.EXPIRED, BookingStatus.CANCELLED},
        grounded=any(leg.is_cancelled for leg in legs),
        money_back=_money_back(news),
    )


def _flight(leg: Leg, news: News) -> Flight:
    segment, change = leg.segment, leg.change
    people = [_person(f"{who.given_name} {who.family_name}") for who in news.booking.passengers]
    times = FlightTimes(departing_at=segment.departing_at, arriving_at=segment.arriving_at)
    was = None if change is None or change.now is None else _schedule(change.was)
    return Flight(
        number=_line(segment.flight_number),
        origin=_line(airport(segment.origin).place),
        destination=_line(airport(segment.destination).place),
        times=_schedule(times),
        was=was,
        cabin=segment.cabin.replace("_", " ").capitalize(),
        seats=tuple(zip(segment.seats, people, strict=False)),
        changed=was is not None or leg.is_cancelled,
        cancelled=leg.is_cancelled,
    )


def _schedule(times: FlightTimes) -> Schedule:
    return Schedule(_time(times.departing_at), _time(times.arriving_at))


def _deadline(news: News) -> str:
    at, origin = news.booking.payment_required_by, airport(news.booking.segments[0].origin)
    utc = _time(at.astimezone(UTC))
    if origin.zone is None:
        return utc
    return f"{_time(at.astimezone(origin.zone))} in {_line(origin.place)}, that is {utc}"


def _money_back(news: News) -> str:
    """What becomes of the money of a booking that is over."""
    paid = news.payment
    if paid is None:
        return "You had not paid yet, so nothing was charged."
    match paid.status:
        case PaymentStatus.REFUNDED:
            return f"We have returned {paid.amount} to the means of payment you used."
        case PaymentStatus.REFUND_DUE | PaymentStatus.CAPTURED:
            return f"We are returning {paid.amount} to the means of payment you used."
        case _:
            return (
                "Your payment did not go through, so nothing was charged. If your bank shows "
                f"{paid.amount} as reserved, it will release that amount."
            )


def _time(at: datetime) -> str:
    """Day and time with the offset: two airports, or two sides of a clock change, in one letter."""
    day, month, time, offset = f"{at:%a %b %H:%M %z}".split()
    offset = offset.replace("-", "\N{MINUS SIGN}")  # where no line is broken
    zone = f"(UTC{offset[:3]}:{offset[3:5]})" if at.utcoffset() else "UTC"
    return f"{day} {at.day} {month} {at.year}, {time} {zone}"


def _person(name: str) -> str:
    """A name as people gave it, on one line and without what a mail program would make a link of.

    Anybody can open an account for somebody else's address: a letter of ours is not to carry
    whatever they would like to advertise there.
    """
    return _LINKING.sub(r"\g<0> ", _line(name))


def _line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
