"""Letters: what they say, to whom, and that nobody can make them say anything else."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from notifications_stage import (
    CANCELLED,
    FLIGHT,
    MAIL_FROM,
    NOW,
    RESCHEDULED,
    TYPES,
    a_payment,
    a_segment,
    a_user,
    about,
    calendar_of,
    html_of,
    letters,
    news,
    read,
    shown,
    text_of,
    with_passenger,
    words,
)

from skyhold.booking.models.booking import BookingStatus
from skyhold.booking.models.payment import Failure, PaymentStatus
from skyhold.booking.services.events import Happened
from skyhold.booking.services.letters import (
    KINDS,
    LINE_BYTES_MAX,
    Letters,
    Unaddressable,
    _encoding,
)
from skyhold.booking.services.news import TOLD_WHILE
from skyhold.kernel.settings import SettingsError

every_type = pytest.mark.parametrize("type_", TYPES)
# Whatever somebody could act on: times, days, amounts, seats, flights, places, locators.
FACTS = re.compile(
    r"\d\d:\d\d|UTC(?:[+-]\d\d:\d\d)?|\d{1,2} [A-Z][a-z]{2} \d{4}|\d+\.\d\d [A-Z]{3}|"
    r"\b\d{1,2}[A-K]\b|\b[A-Z]{2}\d{1,4}\b|\([A-Z]{3}\)|K7Q2MX|cancelled|CANCELLED|Before|"
    r"Ada Lovelace|Charles Babbage"
)


def test_every_event_that_is_told_has_a_letter():
    assert set(KINDS) == set(TOLD_WHILE) == set(Happened) == set(TYPES)


@every_type
def test_the_text_and_the_html_tell_the_same_facts(type_):
    letter = read(letters.compose(about(type_)))
    text, html = words(text_of(letter)), shown(html_of(letter))
    told = FACTS.findall(text)
    assert len(told) >= 12
    assert told == FACTS.findall(html)


@every_type
def test_every_letter_names_the_journey_the_people_and_the_price(type_):
    text = words(text_of(read(letters.compose(about(type_)))))
    for fact in (
        "Hello Ada Lovelace,",
        "BOOKING K7Q2MX",
        "UA1545 Newark (EWR) to Houston (IAH)",
        "12A Ada Lovelace 12B Charles Babbage",
        "Total 258.00 USD",
    ):
        assert fact in text


@every_type
def test_the_headers_say_who_when_and_about_which_booking(type_):
    told = about(type_)
    letter = read(letters.compose(told))
    assert str(letter["From"]) == MAIL_FROM
    assert str(letter["To"]) == "ada@example.com"
    assert "K7Q2MX" in letter["Subject"]
    assert letter["Date"].datetime == NOW
    assert letter["Message-ID"] == f"<{told.event.id}@skyhold.example>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert all(len(letter.get_all(name)) == 1 for name in letter)


def test_the_same_event_has_the_same_message_id_and_another_one_has_another():
    first, again = (letters.compose(about("booking.held"))["Message-ID"] for _ in range(2))
    other = letters.compose(news("booking.held", id="0198c0de-2222-7000-8000-000000000001"))
    assert first == again != other["Message-ID"]


@pytest.mark.parametrize("id_", ["a b", "x>\r\nBcc: eve@example.com", "../../etc", "é", "x" * 300])
def test_whatever_the_events_id_is_the_message_id_stays_one(id_):
    found = letters.compose(news("booking.held", id=id_))["Message-ID"]
    assert re.fullmatch(r"<[0-9a-f]{64}@skyhold\.example>", found)
    assert found == letters.compose(news("booking.held", id=id_))["Message-ID"]


@every_type
def test_the_html_loads_nothing_and_runs_nothing(type_):
    html = html_of(read(letters.compose(about(type_))))
    assert not re.search(r"https?:|//|src=|url\(|<link|<script|<img|@import|javascript", html)


# --- each kind -------------------------------------------------------------------------------


def test_held_says_by_when_to_pay_there_and_in_utc():
    text = words(text_of(letters.compose(about("booking.held"))))
    assert (
        "Please pay by Mon 30 Nov 2026, 05:15 (UTC-05:00) in Newark (EWR), "
        "that is Mon 30 Nov 2026, 10:15 UTC." in text
    )


def test_held_at_an_airport_that_nobody_knows_says_it_in_utc_alone():
    text = words(text_of(letters.compose(news("booking.held", a_segment(route="QQQ-IAH")))))
    assert "Please pay by Mon 30 Nov 2026, 10:15 UTC. After" in text
    assert "UA1545 QQQ to Houston (IAH)" in text


NOTHING = "You had not paid yet, so nothing was charged."
RETURNING = "We are returning 258.00 USD to the means of payment you used."
RETURNED = "We have returned 258.00 USD to the means of payment you used."
NEVER = "Your payment did not go through, so nothing was charged."


@pytest.mark.parametrize(
    ("payment", "says"),
    [
        (None, NOTHING),
        (a_payment(PaymentStatus.REFUND_DUE), RETURNING),
        (a_payment(PaymentStatus.REFUNDED), RETURNED),
        (a_payment(PaymentStatus.VOID_DUE, Failure.CAPTURE_REFUSED), NEVER),
        (a_payment(PaymentStatus.VOIDED, Failure.DECLINED), NEVER),
    ],
)
@pytest.mark.parametrize("type_", ["booking.cancelled", "booking.expired"])
def test_the_letter_of_an_ended_booking_says_what_becomes_of_the_money(type_, payment, says):
    text = words(text_of(letters.compose(news(type_, payment=payment))))
    assert [said for said in (NOTHING, RETURNING, RETURNED, NEVER) if said in text] == [says]


def test_a_cancellation_by_the_airline_says_which_flight_it_was():
    back = a_segment("2026-12-08T09:00:00-06:00", "2026-12-08T13:10:00-05:00", "IAH-EWR")
    told = news("booking.cancelled", a_segment(), back, changes=[CANCELLED])
    text = words(text_of(letters.compose(told)))
    assert (
        "Flight UA1545 from Newark (EWR) to Houston (IAH) will not fly: it was cancelled." in text
    )
    assert text.count("will not fly") == text.count(" - CANCELLED") == 1


def test_a_cancellation_by_the_traveller_blames_no_flight():
    assert "not fly" not in text_of(letters.compose(news("booking.cancelled", changes=[])))


def test_a_flight_change_tells_the_old_and_the_new_times():
    text = words(text_of(letters.compose(about("booking.flight_changed"))))
    assert (
        "It now departs Tue 1 Dec 2026, 07:45 (UTC-05:00) "
        "and arrives Tue 1 Dec 2026, 10:52 (UTC-06:00)." in text
    )
    assert "Before Tue 1 Dec 2026, 05:15 (UTC-05:00) to Tue 1 Dec 2026, 08:19 (UTC-06:00)" in text


def test_a_booking_that_has_the_new_times_already_is_told_the_same():
    now = a_segment(*RESCHEDULED["now"].values())
    moved, not_yet = (
        news("booking.flight_changed", segment, changes=[RESCHEDULED])
        for segment in (now, a_segment())
    )
    assert text_of(letters.compose(moved)) == text_of(letters.compose(not_yet))


def test_a_booking_that_has_still_newer_times_is_told_those():
    newer = a_segment("2026-12-01T09:00:00-05:00", "2026-12-01T12:07:00-06:00")
    text = text_of(letters.compose(news("booking.flight_changed", newer, changes=[RESCHEDULED])))
    assert "It now departs Tue 1 Dec 2026, 09:00" in text
    assert "07:45" not in text


@pytest.mark.parametrize(
    "changes",
    [
        None,
        [],
        "nonsense",
        [None],
        [{"flight_id": FLIGHT, "kind": "rescheduled"}],
        [RESCHEDULED | {"kind": "painted", "now": None}],
        [RESCHEDULED | {"now": {"departing_at": "soon", "arriving_at": "later"}}],
        [RESCHEDULED | {"flight_id": "UA1-2026-12-01-EWR"}],
    ],
)
def test_a_change_that_nobody_understands_still_tells_the_journey(changes):
    text = words(text_of(letters.compose(news("booking.flight_changed", changes=changes))))
    assert "A flight of your booking has changed." in text
    assert "Departs Tue 1 Dec 2026, 05:15 (UTC-05:00)" in text


def test_a_flight_change_of_an_unpaid_booking_asks_for_the_money_in_time():
    told = news("booking.flight_changed", status=BookingStatus.HELD, changes=[RESCHEDULED])
    text = words(text_of(letters.compose(told)))
    assert "Please pay 258.00 USD by Mon 30 Nov 2026, 05:15 (UTC-05:00)" in text
    assert "calendar" not in text


@pytest.mark.parametrize(
    ("status", "stays"), [(BookingStatus.CANCELLED, False), (BookingStatus.CONFIRMED, True)]
)
def test_the_refund_of_an_earlier_attempt_takes_no_booking_away(status, stays):
    text = words(text_of(letters.compose(news("payment.refunded", status=status))))
    assert RETURNED in text
    assert ("your booking K7Q2MX stays as it is" in text) is stays


@every_type
def test_only_letters_that_speak_of_a_calendar_bring_one(type_):
    letter = read(letters.compose(about(type_)))
    brings = type_ in {"booking.confirmed", "booking.flight_changed", "booking.cancelled"}
    assert (calendar_of(letter) is not None) is brings
    if "calendar" in text_of(letter):
        assert brings


# --- names and addresses come from anybody ----------------------------------------------------

ATTACK = "Eve\r\nBcc: victim@example.com\r\n\r\nBuy\n.\nQUIT\x00\u2028now"


@every_type
def test_a_name_cannot_add_a_header_or_a_paragraph(type_):
    honest = read(letters.compose(about(type_)))
    told = with_passenger(about(type_), ATTACK, "Evil")
    letter = read(letters.compose(_by(told, a_user(name=ATTACK))))
    assert letter.items()[:6] == honest.items()[:6]
    assert letter.keys() == honest.keys()
    assert "Eve Bcc: victim@ example. com Buy . QUIT now" in text_of(letter)
    assert text_of(letter).count("\n") == text_of(honest).count("\n")


def test_a_name_cannot_end_a_part_of_the_letter():
    honest = read(letters.compose(about("booking.confirmed")))
    boundaries = [part.get_boundary() for part in honest.walk() if part.is_multipart()]
    assert len(set(boundaries)) == 2
    for boundary in boundaries:
        for before in range(60, 75):  # one of them has the boundary begin a line of the encoding
            name = f"{'x' * before}--{boundary}--"
            letter = read(letters.compose(_by(about("booking.confirmed"), a_user(name=name))))
            assert letter.as_string().count(f"\n--{boundary}--") == 1
            assert f"Hello {name}," in text_of(letter)


def _by(told, user):
    return type(told)(told.event, told.booking, user, told.payment)


def test_a_name_is_text_in_the_html_and_nothing_else():
    eve = a_user(name='<script>alert("x")</script><a href=x>&amp;')
    told = with_passenger(_by(about("booking.held"), eve), "<b>Bobby", "<!--")
    letter = read(letters.compose(told))
    html = html_of(letter)
    assert "<script" not in html
    assert "<a " not in html
    assert "<!--" not in html
    assert '<script>alert("x")</script><a href=x>&amp;' in text_of(letter).replace("/ ", "/")
    assert shown(html).startswith('Skyhold Hello <script>alert("x")</ script><a href=x>&amp;')


@pytest.mark.parametrize(
    "name", ["WIN http://evil.example/now", "www.evil.example", "mail eve@evil.example"]
)
def test_no_mail_program_makes_a_link_of_a_name(name):
    told = with_passenger(_by(about("booking.held"), a_user(name=name)), name, name)
    letter = letters.compose(told)
    for seen in (text_of(letter), shown(html_of(letter))):
        assert not re.search(r"evil\.example|://|www\.\w|@evil", seen)


@pytest.mark.parametrize("name", ["Zoë Müller-Łukasiewicz", "李小龍", "محمد", "Ada 🛫 Lovelace"])
def test_names_of_every_script_arrive_as_they_are(name):
    letter = read(letters.compose(_by(about("booking.confirmed"), a_user(name=name))))
    assert f"Hello {name}," in text_of(letter)
    assert f"Hello {name}," in shown(html_of(letter))
    assert all(f"{key}: {value}".isascii() for key, value in letter.items())


@pytest.mark.parametrize(
    "email",
    [
        "eve@example.com\r\nBcc: victim@example.com",
        "eve@example.com, victim@example.com",
        "Eve <eve@example.com>",
        "eve@example.com>\r\nRCPT TO:<victim@example.com",
        "eve example.com",
        "<>",
        "",
        '"a b"@example.com',
    ],
)
def test_what_is_no_single_address_gets_no_letter(email):
    told = _by(about("booking.held"), a_user(email=email))
    with pytest.raises(Unaddressable) as refused:
        letters.compose(told)
    # No log that shows this error shows the address.
    assert str(refused.value) == ""
    assert refused.value.__context__ is None


def test_an_international_domain_is_written_in_ascii():
    letter = letters.compose(_by(about("booking.held"), a_user(email="ada@bücher.example")))
    assert b"\r\nTo: ada@xn--bcher-kva.example\r\n" in letter.as_bytes()
    assert letter.as_bytes().partition(b"\r\n\r\n")[0].isascii()


def test_an_international_mailbox_is_written_as_it_is():
    letter = letters.compose(_by(about("booking.held"), a_user(email="用户@例子.example")))
    assert "\r\nTo: 用户@xn--fsqu00a.example\r\n".encode() in letter.as_bytes()


@pytest.mark.parametrize(
    "mail_from",
    [
        "",
        "Skyhold",
        "a@x.example, b@x.example",
        "Sky <a@x.example>\r\nBcc: b@x.example",
        "bücher@x.example",
        "a@",
    ],
)
def test_a_sender_that_is_none_is_refused_at_start_up(mail_from):
    with pytest.raises(SettingsError, match="MAIL_FROM"):
        Letters(mail_from)


def test_the_sender_signs_with_its_own_name():
    letter = read(Letters("Flüge, Inc. <fly@air.example>").compose(about("booking.held")))
    assert letter["From"].addresses[0].display_name == "Flüge, Inc."
    assert "Flüge, Inc. sent you this message" in text_of(letter)
    assert letter["Message-ID"].endswith("@air.example>")
    unnamed = Letters("fly@air.example").compose(about("booking.held"))
    assert "Skyhold sent you this message" in text_of(unnamed)


# --- is it still true? -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "status", "is_current"),
    [
        ("booking.held", BookingStatus.PAYING, True),
        ("booking.held", BookingStatus.CONFIRMED, False),
        ("booking.held", BookingStatus.EXPIRED, False),
        ("payment.declined", BookingStatus.CONFIRMED, False),
        ("payment.declined", BookingStatus.PAYING, False),
        ("booking.confirmed", BookingStatus.CANCELLED, False),
        ("booking.flight_changed", BookingStatus.CANCELLED, False),
        ("booking.flight_changed", BookingStatus.PAYING, True),
        ("payment.refunded", BookingStatus.CONFIRMED, True),
        ("booking.invented", BookingStatus.HELD, False),
    ],
)
def test_news_that_something_later_has_overtaken_are_not_told(type_, status, is_current):
    assert news(type_, status=status).is_current is is_current


@every_type
def test_news_are_told_while_they_are_true(type_):
    assert about(type_).is_current


def test_the_date_is_when_it_happened_not_when_it_is_told():
    told = about("booking.held")
    late = type(told.event)(
        **{name: getattr(told.event, name) for name in told.event.__slots__}
        | {"occurred_at": NOW - timedelta(hours=3)}
    )
    letter = letters.compose(type(told)(late, told.booking, told.user, told.payment))
    assert letter["Date"].datetime == NOW - timedelta(hours=3)


def test_no_line_is_longer_than_a_mail_server_takes():
    told = with_passenger(news("booking.held"), "Ada" * 100, "Lovelace" * 50)
    letter = letters.compose(told)
    assert max(map(len, letter.as_bytes().splitlines())) <= LINE_BYTES_MAX
    assert ("Lovelace" * 50) in html_of(read(letter))


def test_lines_that_are_too_long_are_broken_where_no_reader_sees_it():
    assert _encoding("é" * 499) == "8bit"
    assert _encoding("short\n" + "é" * 500) == "quoted-printable"
