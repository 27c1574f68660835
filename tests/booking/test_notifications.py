"""Telling travellers: every event once, never lost, and nobody's address in the log."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from booking_stage import a_traveller
from notifications_stage import (
    NOW,
    TYPES,
    PostOffice,
    a_booking,
    a_payment,
    a_user,
    an_event,
    calendar_of,
    letters,
    smtp_server,
    text_of,
)
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from skyhold.booking.clients.mailer import SmtpMailer
from skyhold.booking.consumers import notifications
from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.payment import PaymentStatus
from skyhold.booking.models.tables import INBOX, OUTBOX, Base, BookingRow
from skyhold.booking.repositories import bookings, payments, users
from skyhold.booking.services.notify import Notifier
from skyhold.kernel.client import Unknown
from skyhold.kernel.db import Database
from skyhold.kernel.inbox import Inbox
from skyhold.kernel.messaging import MemoryBus
from skyhold.kernel.outbox import Outbox
from support.mailbox import event_of, letters_in
from support.system import eventually

NOBODY = "0198c0de-0000-7000-8000-00000000000b"


@pytest.fixture
async def db(tmp_path):
    """A booking database in which Ada has an account."""
    db = Database(f"sqlite:///{tmp_path / 'booking.db'}")
    await db.run_sync(Base.metadata.create_all)
    await db.transact(lambda tx: users.add(tx, a_user()))
    yield db
    await db.close()


@pytest.fixture
def office():
    return PostOffice()


@pytest.fixture
async def notifier(db, office):
    async with smtp_server(office) as port:
        mailer = SmtpMailer("127.0.0.1", port, security="none", timeout_s=20)
        yield Notifier(db, Inbox(INBOX), mailer, letters)


@pytest.fixture
def bus(notifier):
    bus = MemoryBus()
    notifications.subscribe(bus, notifier)
    return bus


async def a_kept(db, status, **changes):
    """Ada's booking, in the database."""
    booking = replace(a_booking(status), due_at=NOW, **changes)
    await db.transact(lambda tx: bookings.add(tx, [booking]))
    return booking


async def moved_to(db, booking, status):
    change = update(BookingRow).where(BookingRow.id == booking.id).values(status=status)
    await db.transact(lambda tx: tx.run(change))


async def noted(db):
    async with db.read() as tx:
        return await tx.scalar(select(func.count()).select_from(INBOX))


# --- once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", TYPES)
async def test_every_kind_of_event_is_told_once_however_often_it_comes(bus, db, office, type_):
    booking = await a_kept(db, TYPES[type_])
    event = an_event(type_, booking.id)
    assert [await bus.publish(event) for _ in range(3)] == [True] * 3
    (letter,) = office.letters
    assert letter["To"] == "ada@example.com"
    assert letter["Message-ID"] == f"<{event.id}@skyhold.example>"
    assert await noted(db) == 1


async def test_what_is_refunded_is_read_from_the_payment(bus, db, office):
    booking = await a_kept(db, BookingStatus.CANCELLED)
    paid = replace(
        a_payment(PaymentStatus.REFUND_DUE), booking_id=booking.id, user_id=booking.user_id
    )
    await db.transact(lambda tx: payments.add(tx, paid))
    await bus.publish(an_event("booking.cancelled", booking.id))
    (letter,) = office.letters
    assert "We are returning 258.00 USD" in text_of(letter)
    assert calendar_of(letter)["METHOD"] == "CANCEL"


@pytest.mark.parametrize(
    "trouble",
    [("RCPT", "450 4.2.1 later"), ("DATA", "451 4.3.0 later"), ("MAIL", "421 4.3.2 closing")],
)
async def test_after_a_temporary_failure_the_next_delivery_is_told_once(bus, db, office, trouble):
    booking = await a_kept(db, BookingStatus.CONFIRMED)
    event = an_event("booking.confirmed", booking.id)
    office.answers[trouble[0]] = [trouble[1]]
    assert not await bus.publish(event)
    assert (office.letters, await noted(db)) == ([], 0)
    assert await bus.publish(event)
    assert await bus.publish(event)
    assert (len(office.letters), await noted(db)) == (1, 1)


async def test_a_temporary_failure_reaches_the_bus(notifier, db, office):
    booking = await a_kept(db, BookingStatus.CONFIRMED)
    office.answers["DATA"] = ["451 4.3.0 later"]
    with pytest.raises(Unknown, match="451"):
        await notifier.notify(an_event("booking.confirmed", booking.id))


async def test_a_permanent_refusal_is_not_tried_again(bus, db, office):
    booking = await a_kept(db, BookingStatus.CONFIRMED)
    event = an_event("booking.confirmed", booking.id)
    office.answers["RCPT"] = ["550 5.1.1 <ada@example.com> does not live here"]
    with capture_logs() as logs:
        assert await bus.publish(event)
    assert [(log["event"], log["log_level"]) for log in logs] == [("mail.refused", "error")]
    assert await bus.publish(event)
    assert (office.letters, await noted(db)) == ([], 1)


async def test_an_account_without_a_usable_address_holds_nothing_up(bus, db, office):
    eve = replace(a_user(email="eve@example.com\r\nBcc: ada"), id=NOBODY, email_key="eve")
    await db.transact(lambda tx: users.add(tx, eve))
    booking = await a_kept(db, BookingStatus.HELD, user_id=NOBODY)
    assert await bus.publish(an_event("booking.held", booking.id))
    assert (office.letters, await noted(db)) == ([], 1)


async def test_dying_between_sending_and_noting_it_sends_the_same_again(
    bus, db, office, monkeypatch
):
    booking = await a_kept(db, BookingStatus.CONFIRMED)
    event = an_event("booking.confirmed", booking.id)

    async def dies(work):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(db, "transact", dies)
        assert not await bus.publish(event)
    assert await bus.publish(event)
    assert await bus.publish(event)
    first, again = office.letters
    assert first["Message-ID"] == again["Message-ID"]


async def test_a_cancellation_that_comes_after_its_refund_is_still_told(bus, db, office):
    booking = await a_kept(db, BookingStatus.CANCELLED)
    await bus.publish(an_event("payment.refunded", booking.id, id="b", sequence=8))
    await bus.publish(an_event("booking.cancelled", booking.id, id="a", sequence=7))
    assert [letter["Message-ID"][1] for letter in office.letters] == ["b", "a"]


async def test_an_older_change_is_not_told_after_a_newer_one(bus, db, office):
    booking = await a_kept(db, BookingStatus.CONFIRMED)
    await bus.publish(an_event("booking.flight_changed", booking.id, id="b", sequence=8))
    assert await bus.publish(an_event("booking.flight_changed", booking.id, id="a", sequence=7))
    assert [letter["Message-ID"][1] for letter in office.letters] == ["b"]


# --- what nobody is told ---------------------------------------------------------------------


async def skipped(bus, office, event):
    """The bus is done with the event, there is no letter, and one line says why."""
    with capture_logs() as logs:
        assert await bus.publish(event)
    assert office.letters == []
    (log,) = logs
    assert (log["event"], log["booking_id"], log["type"]) == (
        "mail.skipped",
        event.subject,
        event.type,
    )
    return log["why"]


async def test_a_booking_that_is_gone(bus, office):
    assert await skipped(bus, office, an_event("booking.held", NOBODY)) == "deleted"


async def test_an_account_that_is_gone(bus, db, office, monkeypatch):
    booking = await a_kept(db, BookingStatus.HELD)

    async def no_one(tx, user_ids):
        assert user_ids == {booking.user_id}
        return {}

    monkeypatch.setattr(users, "by_ids", no_one)  # the database itself would not let it go
    assert await skipped(bus, office, an_event("booking.held", booking.id)) == "deleted"


async def test_an_account_that_was_deleted(bus, db, office):
    booking = await a_kept(db, BookingStatus.HELD)
    async with db.read() as tx:
        known = (await users.by_id(tx, booking.user_id)).password_hash
    assert await db.transact(
        lambda tx: users.erase(tx, booking.user_id, password_hash=known, now=booking.created_at)
    )
    assert await skipped(bus, office, an_event("booking.held", booking.id)) == "deleted"


async def test_an_event_that_nobody_knows(bus, db, office):
    booking = await a_kept(db, BookingStatus.HELD)
    assert await skipped(bus, office, an_event("booking.painted", booking.id)) == "no letter"


async def test_what_something_later_has_overtaken(bus, db, office):
    booking = await a_kept(db, BookingStatus.HELD)
    await moved_to(db, booking, BookingStatus.CANCELLED)
    assert await skipped(bus, office, an_event("booking.held", booking.id)) == "outdated"


async def test_news_of_flights_go_elsewhere(bus, office):
    with capture_logs() as logs:
        assert await bus.publish(an_event("flight.cancelled", "UA1545-2026-12-01-EWR"))
    assert (office.letters, logs) == ([], [])


# --- the log ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({}, "mail.sent"),
        ({"RCPT": ["550 5.1.1 <ada@example.com> Ada Lovelace has moved"]}, "mail.refused"),
        ({"DATA": ["451 4.3.0 not now, ada@example.com, Ada Lovelace"]}, "mail.postponed"),
        ({"MAIL": ["550 5.7.1 nothing for ada@example.com, Ada Lovelace"]}, "mail.postponed"),
    ],
)
async def test_the_log_says_what_and_never_to_whom(bus, db, office, answers, told, capsys):
    booking = await a_kept(db, BookingStatus.CONFIRMED)
    office.answers = answers
    with capture_logs() as logs:
        await bus.publish(an_event("booking.confirmed", booking.id))
    of_ours = [log for log in logs if log["event"].startswith("mail.")]
    assert [log["event"] for log in of_ours] == [told]
    assert (of_ours[0]["booking_id"], of_ours[0]["type"]) == (booking.id, "booking.confirmed")
    everything = repr(logs) + repr([_causes(log.get("exc_info")) for log in logs])
    everything = everything.replace(booking.id, "").lower()
    assert not re.search(r"\bada\b", everything)  # as a word: an id may well have these letters
    assert "lovelace" not in everything


def _causes(error):
    """An error and all that a traceback would print with it."""
    while isinstance(error, BaseException):
        yield repr(error)
        error = error.__cause__ or error.__context__


# --- the whole way ---------------------------------------------------------------------------


async def test_a_journey_leaves_its_letters_in_the_mail_folder(inside):
    """The service by itself, as it runs when nothing is configured."""
    folder = inside.bookings.settings.data_dir / "mail"
    alice, flight = await a_traveller(inside, "Alice"), await inside.a_flight()
    booking = await alice.book(flight, party=2)
    for step, letters_by_then in ((None, 1), (alice.pay, 2), (alice.cancel, 4)):
        if step:
            await step(booking)

        async def arrived(number=letters_by_then):
            return len(letters_in(folder)) == number

        await eventually(arrived)
    async with inside.bookings.db.read() as tx:
        events = await Outbox(OUTBOX, "").about(tx, booking["id"], limit=10)
    by_event = {event_of(letter): letter for letter in letters_in(folder)}
    told = [by_event[event.id] for event in events]
    assert [letter["Subject"].replace(booking["record_locator"], "…") for letter in told] == [
        "Booking …: your seats are held, please pay",
        "Booking … is confirmed",
        "Booking … is cancelled",
        "Booking …: your refund",
    ]
    assert {str(letter["To"]) for letter in told} == {alice.email}
    _, confirmed, cancelled, _ = map(calendar_of, told)
    assert (confirmed["METHOD"], cancelled["METHOD"]) == ("PUBLISH", "CANCEL")
    (before,), (after,) = confirmed.events, cancelled.events
    assert before["UID"] == after["UID"]
    assert before["SEQUENCE"] < after["SEQUENCE"]
