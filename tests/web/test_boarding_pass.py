"""The text of a boarding pass, place by place, and that a reader reads it off the symbol.

The examples are those of IATA Resolution 792, Attachment B, and of the BCBP Implementation Guide,
without what is only known once somebody has checked in.
"""

from __future__ import annotations

import re

import pytest
import zxingcpp
from hypothesis import given, settings
from paper_stage import (
    a_booking,
    a_passenger,
    a_segment,
    bookings,
    chromium,
    drawn,
    grey,
    read,
)

from skyhold.web.boarding_pass import boarding_passes, name_field, symbol
from skyhold.web.latin_names import in_latin

# Checked in as number 25, the standard has `0025 1` where here is nothing yet: blanks, and `0`.
EXAMPLE = "M1DESMARAIS/LUC       EABC123 YULFRAAC 0834 226F001A     000"
ONWARD = a_segment(
    flight_number="LH3664",
    origin="FRA",
    destination="GVA",
    departing_at="2020-08-14T08:15:00+02:00",
    cabin="business",
    seats=["12C"],
)
PATTERN = re.compile(
    r"M[1-4][A-Z /]{20}E"
    r"([A-Z0-9]{6} [A-Z]{3}[A-Z]{3}[A-Z0-9]{2} \d{4} \d{3}[FCWY]0\d\d[A-Z] {5}000)+"
)
FOLDED = {
    "José": "JOSE",
    "Weiß": "WEISS",
    "Søren": "SOEREN",
    "Müller": "MUELLER",
    "Mu\u0308ller": "MUELLER",  # the same, in two characters
    "Ångström": "AANGSTROEM",
    "Þórðar": "THORDAR",
    "Łódź": "LODZ",
    "Đorđević": "DORDEVIC",
    "Œuvre": "OEUVRE",
    "ÇELİK": "CELIK",
    "ılgaz": "ILGAZ",  # noqa: RUF001 - of the Turkish alphabet
    "Nguyễn": "NGUYEN",
    "Jean-Luc": "JEAN LUC",
    "O'Brien": "OBRIEN",
    "O’Brien": "OBRIEN",  # noqa: RUF001 - as many keyboards write it
    "Smith Jr.": "SMITH JR",
    "  van   der  Berg ": "VAN DER BERG",
    "Ａｄａ": "ADA",  # noqa: RUF001 - full width
    "\U0001d41ada": "ADA",  # a letter of mathematics
    "a/b": "A B",
    "王小明": "",
    "Иван": "",
    "王 Wang": "WANG",
    "42": "",
}


def texts(booking):
    return [[it.text for it in passes] for passes in boarding_passes(booking)]


def the_text(**facts):
    ((text,),) = texts(a_booking(**facts))
    return text


# --- the text --------------------------------------------------------------------------------


def test_the_example_of_the_standard_item_by_item():
    assert the_text() == EXAMPLE
    widths = [1, 1, 20, 1, 7, 3, 3, 3, 5, 3, 1, 4, 5, 1, 2]
    items, at = [], 0
    for width in widths:
        items.append(EXAMPLE[at : at + width])
        at += width
    assert at == len(EXAMPLE) == 60
    assert items == [
        "M",  # format code
        "1",  # number of legs
        "DESMARAIS/LUC       ",
        "E",  # electronic ticket
        "ABC123 ",  # operating carrier's PNR code
        "YUL",
        "FRA",
        "AC ",
        "0834 ",
        "226",  # 13 August of a leap year
        "F",
        "001A",
        "     ",  # no check-in sequence number yet
        "0",  # ticket issued, not checked in
        "00",  # no item of variable size
    ]


def test_a_journey_of_two_flights_is_one_text():
    ((text,),) = texts(a_booking(a_segment(), ONWARD))
    assert text == "M2" + EXAMPLE[2:] + "ABC123 FRAGVALH 3664 227C012C     000"


def test_everybody_has_a_symbol_with_their_own_name_and_seat():
    party = [a_passenger("Ada", "Lovelace"), a_passenger("Charles", "Babbage")]
    (ada,), (charles,) = texts(a_booking(a_segment(seats=["31A", "31B"]), passengers=party))
    assert (ada[2:22], ada[48:52]) == ("LOVELACE/ADA        ", "031A")
    assert (charles[2:22], charles[48:52]) == ("BABBAGE/CHARLES     ", "031B")


def test_the_fifth_flight_and_the_sixth_are_on_a_second_symbol():
    ((first, second),) = texts(a_booking(*[a_segment()] * 5, ONWARD))
    assert (first[:2], len(first)) == ("M4", 23 + 4 * 37)
    assert (second[:2], len(second)) == ("M2", 23 + 2 * 37)
    assert second == "M2" + EXAMPLE[2:] + "ABC123 FRAGVALH 3664 227C012C     000"


@pytest.mark.parametrize(
    ("number", "item"),
    [
        ("UA1", "UA 0001 "),
        ("UA1545", "UA 1545 "),
        ("B623", "B6 0023 "),
        ("9E3", "9E 0003 "),
        ("UA12D", "UA 0012D"),  # two of a day: the suffix has a place of its own
        ("UAL12", "UAL0012 "),  # by ICAO's three letters
    ],
)
def test_a_flight_number_is_four_digits_after_its_carrier(number, item):
    assert the_text(segments=[a_segment(flight_number=number)])[36:44] == item


@pytest.mark.parametrize(
    ("departing_at", "day"),
    [
        ("2026-01-01T00:05:00-05:00", "001"),
        ("2026-12-31T23:55:00-05:00", "365"),  # by UTC it is next year already
        ("2028-12-31T00:10:00+13:00", "366"),  # by UTC it is the day before
        ("2028-03-01T09:00:00+00:00", "061"),
        ("2026-03-01T09:00:00+00:00", "060"),
    ],
)
def test_the_day_is_counted_where_the_flight_leaves(departing_at, day):
    assert the_text(segments=[a_segment(departing_at=departing_at)])[44:47] == day


def test_every_cabin_has_its_compartment():
    cabins = ["first", "business", "premium_economy", "economy"]
    found = [the_text(segments=[a_segment(cabin=cabin)])[47] for cabin in cabins]
    assert found == ["F", "C", "W", "Y"]


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "letters"), FOLDED.items())
def test_a_name_is_spelled_as_in_a_passport(name, letters):
    assert in_latin(name) == letters


@pytest.mark.parametrize(
    ("given_name", "family_name", "item"),
    [
        ("Luc", "Desmarais", "DESMARAIS/LUC       "),
        ("Anne-Marie", "O'Brien", "OBRIEN/ANNE MARIE   "),
        # The given name gives way first, the surname after that, and an initial stays.
        ("Maximilian", "Featherstonehaugh", "FEATHERSTONEHAUGH/MA"),
        ("Hubert", "Wolfeschlegelsteinhausen", "WOLFESCHLEGELSTEIN/H"),
        ("Ana Lu", "Castillo Montes", "CASTILLO MONTES/ANA "),
        ("Al", "Aaaaaaaaaaaaaaaaa Bb", "AAAAAAAAAAAAAAAAA/AL"),  # no blank before the stroke
        # Nobody but their owner knows how these are spelled.
        ("小明", "王", "LNU/FNU             "),
        ("Ming", "王", "LNU/MING            "),
        ("-", "Cher", "CHER/FNU            "),
    ],
)
def test_twenty_characters_for_a_name(given_name, family_name, item):
    assert name_field(given_name, family_name) == item


# --- every booking, and every reader ---------------------------------------------------------


@given(bookings())
@settings(deadline=None)
def test_every_booking_gives_texts_of_the_right_lengths_in_plain_ascii(booking):
    found = texts(booking)
    assert len(found) == len(booking["passengers"])
    for passes in found:
        for text in passes:
            assert text.isascii()
            assert len(text) == 23 + 37 * int(text[1])
            assert PATTERN.fullmatch(text), text
        assert sum(int(text[1]) for text in passes) == len(booking["segments"])


@given(bookings())
@settings(deadline=None, max_examples=25)
def test_a_reader_reads_the_text_off_the_symbol(booking):
    text = boarding_passes(booking)[-1][0].text
    assert read(drawn(symbol(text))) == [text]


def test_the_symbol_is_drawn_by_attributes_alone_with_its_quiet_zone():
    svg = symbol(EXAMPLE)
    assert not re.search(r"style|<script|href|on\w+=|data:", svg)
    (size,) = re.findall(r'viewBox="0 0 (\d+) \1"', svg)
    assert int(size) == 29 + 2 * 4  # version 3, the smallest for so much at level M
    assert f'fill="#fff" d="M0 0h{size}v{size}h-{size}z"' in svg
    assert 'stroke="#000" d="M4 4.5h7' in svg
    (found,) = zxingcpp.read_barcodes(drawn(svg))
    assert found.ec_level == "M"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_browser_draws_what_a_reader_reads(scheme):
    text = texts(a_booking(*[a_segment()] * 3, ONWARD))[0][0]
    async with chromium() as browser:
        page = await browser.new_page(color_scheme=scheme)
        await page.set_content(
            '<meta name="color-scheme" content="light dark">'
            f"<style>.symbol {{ width: 200px }}</style>{symbol(text)}"
        )
        pixels = await grey(await browser.new_page(), await page.screenshot())
    assert read(pixels) == [text]
