"""A booking's story in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from skyhold.booking.models.booking import Booking
from skyhold.booking.models.log import Detail, Entry
from skyhold.booking.models.payment import Payment
from skyhold.booking.services.story import Story
from skyhold.booking.settings import BookingSettings
from skyhold.contracts.holds import Hold
from skyhold.flight.settings import FlightSettings
from skyhold.kernel.messaging import Event

from .nearby import booking_service


async def story_of(id_or_locator: str, bookings: BookingSettings, flights: FlightSettings) -> Story:
    """Ask both services' parts of it. Raises BookingNotFound."""
    async with booking_service(bookings, flights) as service:
        return await service.stories.tell(id_or_locator)


def show(story: Story, console: Console) -> None:
    """Print the booking as it is, its flights, payments and hold, and what happened when."""
    for table in (_booking(story.booking), _flights(story.booking), _payments(story.payments)):
        if table.row_count:
            console.print(table)
    console.print(_hold(story.hold))
    console.print(_events(story.events))
    console.print(_log(story.entries))


def _booking(booking: Booking) -> Table:
    table = _table(f"Booking {booking.record_locator}", "", "")
    for name, value in _facts(booking):
        table.add_row(name, Text(value))
    return table


def _facts(booking: Booking) -> Iterator[tuple[str, str]]:
    yield "id", booking.id
    yield "status", booking.status.value
    yield "user", booking.user_id
    yield "passengers", ", ".join(f"{p.given_name} {p.family_name}" for p in booking.passengers)
    yield "total", str(booking.total)
    yield "made", _at(booking.created_at)
    yield "pay by", _at(booking.payment_required_by)
    if booking.idempotency_key is not None:
        yield "idempotency key", booking.idempotency_key
    if booking.due_at is not None:
        yield "driver looks at it", f"{_at(booking.due_at)}, after {booking.attempts} attempts"
    yield "seats", "still to be given back or used" if booking.hold_open else "given back"


def _flights(booking: Booking) -> Table:
    table = _table("Flights", "flight", "leaves", "lands", "cabin", "seats", "changed from")
    for segment in booking.segments:
        was = [
            f"{change.kind} (was {_local(change.was.departing_at)})"
            for change in booking.changes
            if change.flight_id == segment.flight_id
        ]
        table.add_row(
            segment.flight_id,
            _local(segment.departing_at),
            _local(segment.arriving_at),
            segment.cabin.value,
            " ".join(segment.seats),
            "\n".join(was),
        )
    return table


def _payments(payments: Sequence[Payment]) -> Table:
    table = _table(
        "Payments", "id", "begun", "status", "amount", "failure", "looked at", "attempts"
    )
    for payment in payments:
        table.add_row(
            payment.id,
            _at(payment.created_at),
            payment.status.value,
            str(payment.amount),
            payment.failure.value if payment.failure else "",
            "" if payment.due_at is None else _at(payment.due_at),
            str(payment.attempts),
        )
    return table


def _hold(hold: Hold | str | None) -> Table:
    table = _table("Hold in the flight service", "", "")
    if hold is None:
        table.add_row("status", "there is none")
    elif isinstance(hold, str):
        table.add_row("status", hold)
    else:
        table.add_row("status", hold.status.value)
        if hold.expires_in_s is not None:
            table.add_row("ends in", f"{hold.expires_in_s} s")
        for segment in hold.segments:
            table.add_row(segment.flight_id, " ".join(segment.seats))
    return table


def _events(events: Sequence[Event]) -> Table:
    table = _table("Events", "at", "number", "event", "booking then", "request")
    for event in events:
        table.add_row(
            _at(event.occurred_at),
            str(event.sequence),
            event.type,
            str(event.data.get("status", "")),
            event.request_id or "",
        )
    return table


def _log(entries: Sequence[Entry]) -> Table:
    table = _table("Log", "at", "action", "by", "booking", "detail", "request")
    for entry in entries:
        moved = entry.status_before is not entry.status_after
        table.add_row(
            _at(entry.at),
            entry.action.value,
            " ".join(filter(None, (entry.actor.kind.value, entry.actor.id))),
            f"{entry.status_before or 'new'} → {entry.status_after}" if moved else "",
            "" if entry.detail is None else ", ".join(_details(entry.detail)),
            entry.request_id or "",
        )
    return table


def _details(detail: Detail) -> Iterator[str]:
    if detail.payment_id is not None:
        yield f"payment {detail.payment_id}"
    if detail.failure is not None:
        yield detail.failure.value
    if detail.amount is not None:
        yield str(detail.amount)
    if detail.refund is not None:
        yield f"refund of {detail.refund}"
    for change in detail.changes:
        now = "" if change.now is None else f", now {_local(change.now.departing_at)}"
        yield f"{change.flight_id} {change.kind} (was {_local(change.was.departing_at)}{now})"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=any(columns), title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _at(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"


def _local(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M %z")
