"""Bookings as the API shows them, pictures of what is drawn, and who reads the symbols in them."""

from __future__ import annotations

import base64
import os
import re
import shutil
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import zxingcpp
from hypothesis import strategies as st
from playwright.async_api import Page, async_playwright

from skyhold.web.boarding_pass import COMPARTMENTS
from support.servers import missing

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LAUNCHES_WITHIN_MS = 120_000
PARTY_MAX, SEGMENTS_MAX = 9, 6
A_DAY = datetime(2020, 1, 1)  # noqa: DTZ001 - its zone is added to it


# --- bookings --------------------------------------------------------------------------------


def a_passenger(given_name: str = "Luc", family_name: str = "Desmarais") -> dict[str, Any]:
    return {
        "given_name": given_name,
        "family_name": family_name,
        "type": "adult",
        "born_on": None,
    }


def a_segment(**facts: Any) -> dict[str, Any]:
    """By default the flight of the standard's own example."""
    return {
        "flight_id": "AC834-2020-08-13-YUL",
        "flight_number": "AC834",
        "origin": "YUL",
        "destination": "FRA",
        "departing_at": "2020-08-13T17:10:00-04:00",
        "arriving_at": "2020-08-14T06:30:00+02:00",
        "cabin": "first",
        "seats": ["1A"],
        "fare": {"amount": "129.00", "currency": "USD"},
    } | facts


def a_booking(*segments: dict[str, Any], passengers: Any = None, **facts: Any) -> dict[str, Any]:
    return {
        "id": "0198c0de-0000-7000-8000-000000000001",
        "record_locator": "ABC123",
        "status": "confirmed",
        "segments": list(segments) or [a_segment()],
        "passengers": passengers or [a_passenger()],
    } | facts


_lines = st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"])
    | st.characters(max_codepoint=0x24F, categories=["Lu", "Ll"])
    | st.sampled_from(" '-./"),
    min_size=1,
    max_size=100,
)
_codes = st.from_regex(r"[A-Z]{3}", fullmatch=True)
_offsets = st.integers(-12 * 4, 14 * 4).map(lambda it: timezone(timedelta(minutes=15 * it)))


@st.composite
def _segments(draw, party):
    minutes = draw(st.integers(0, 20 * 366 * 24 * 60))
    departing_at = (A_DAY + timedelta(minutes=minutes)).replace(tzinfo=draw(_offsets))
    return a_segment(
        flight_number=draw(st.from_regex(r"[A-Z0-9]{2}[1-9][0-9]{0,3}", fullmatch=True)),
        origin=draw(_codes),
        destination=draw(_codes),
        departing_at=departing_at.isoformat(),
        cabin=draw(st.sampled_from(sorted(COMPARTMENTS))),
        seats=[draw(st.from_regex(r"[1-9][0-9]?[A-HJ-Z]", fullmatch=True)) for _ in range(party)],
    )


@st.composite
def bookings(draw):
    """Whatever the API's document allows."""
    party = draw(st.integers(1, PARTY_MAX))
    segments = draw(st.lists(_segments(party), min_size=1, max_size=SEGMENTS_MAX))
    passengers = [a_passenger(draw(_lines), draw(_lines)) for _ in range(party)]
    locator = draw(st.from_regex(r"[A-Z0-9]{6}", fullmatch=True))
    return a_booking(*segments, passengers=passengers, record_locator=locator)


# --- pictures --------------------------------------------------------------------------------


def read(pixels: memoryview) -> list[str]:
    """What a reader finds in a picture: one byte a pixel, 0 is black."""
    found = zxingcpp.read_barcodes(pixels)
    assert all(it.format == zxingcpp.BarcodeFormat.QRCode for it in found), found
    return [it.text for it in found]


_STROKE = re.compile(r"([Mmh])(-?[0-9.]+)(?: (-?[0-9.]+))?")


def drawn(svg: str, scale: int = 3) -> memoryview:
    """The pixels of a symbol, by following its strokes: each is so many modules of one row."""
    (size,) = map(int, re.findall(r'viewBox="0 0 (\d+) \1"', svg))
    rows = [bytearray(b"\xff") * size for _ in range(size)]
    x, y = 0, 0.0
    (path,) = re.findall(r'stroke="#000" d="([^"]+)"', svg)
    for pen, right, down in _STROKE.findall(path):
        if pen == "h":
            rows[int(y)][x : x + int(right)] = bytes(int(right))
        elif pen == "M":
            x, y = 0, 0.0
        x, y = x + int(right), y + float(down or 0)
    assert all(len(row) == size for row in rows)
    wide = [bytes(it for it in row for _ in range(scale)) for row in rows for _ in range(scale)]
    return memoryview(b"".join(wide)).cast("B", (size * scale, size * scale))


@asynccontextmanager
async def chromium():
    """Debian's browser, without a window."""
    wanted = os.environ.get("CHROMIUM")
    names = (wanted,) if wanted else CHROMIUM
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        missing("no Chromium: install one (apt-get install chromium) or set CHROMIUM")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox"], timeout=LAUNCHES_WITHIN_MS
        )
        try:
            yield browser
        finally:
            await browser.close()


_GREY = """async png => {
  const bytes = Uint8Array.from(atob(png), it => it.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], {type: 'image/png'}));
  const canvas = new OffscreenCanvas(image.width, image.height);
  const drawn = canvas.getContext('2d');
  drawn.drawImage(image, 0, 0);
  const {data} = drawn.getImageData(0, 0, image.width, image.height);
  let grey = '';
  for (let at = 0; at < data.length; at += 4) {
    grey += String.fromCharCode((data[at] * 2 + data[at + 1] * 5 + data[at + 2]) >> 3);
  }
  return [image.width, image.height, btoa(grey)];
}"""


async def grey(blank: Page, png: bytes) -> memoryview:
    """The pixels of a screenshot; `blank` is a page whose browser unpacks it."""
    width, height, packed = await blank.evaluate(_GREY, base64.b64encode(png).decode())
    return memoryview(base64.b64decode(packed)).cast("B", (height, width))


async def as_if_served(page: Page, reader: Any) -> None:
    """Let a browser see the pages of a system in this process, as this person."""

    async def answer(route):
        reply = await reader.http.get(route.request.url)
        packed = {"content-encoding", "content-length"}
        headers = {name: value for name, value in reply.headers.items() if name not in packed}
        await route.fulfill(status=reply.status_code, headers=headers, body=reply.content)

    await page.route("**/*", answer)
