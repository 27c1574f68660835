"""The pages' HTML is what it looks like: no attribute runs into the next one."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from test_first_pages import a_booking

pytestmark = pytest.mark.asyncio(loop_scope="module")

KNOWN = frozenset(
    re.findall(
        r"\S+",
        """
    action aria-activedescendant aria-current aria-describedby aria-disabled aria-hidden
    aria-invalid
    aria-label aria-labelledby aria-live aria-pressed autocomplete charset checked class colspan
    content cx cy d datetime disabled fill for height hidden href http-equiv id inert inputmode
    label
    lang list max maxlength method min minlength name open pattern placeholder points
    preserveaspectratio r rel required role rows rowspan rx ry scope selected size src stroke
    summary
    tabindex target text-anchor title transform type value viewbox width x x1 x2 xmlns y y1 y2
    """,
    )
)


class Attributes(HTMLParser):
    """All names of attributes."""

    def __init__(self, html):
        super().__init__()
        self.found = set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found |= {name for name, _ in attrs if not name.startswith("data-")}


async def test_every_attribute_is_one_of_html(system, reader, flight):
    booking = await a_booking(system, reader, flight)
    addresses = [
        "/",
        "/flights?origin=Nowhere&destination=New York&date=x",
        "/flights?origin=JFK&destination=LAX&date=2027-01-01",
        f"/book?flight={flight}&cabin=economy&passengers=2",
        f"/bookings/{booking['id']}",
        f"/bookings/{booking['id']}/cancel",
        "/bookings",
        "/register",
    ]
    for address in addresses:
        page = await reader.open(address)
        assert Attributes(page.html).found <= KNOWN, address
    bad = await reader.send((await reader.open("/register")).form("/register"), name="", email="x")
    assert 'aria-invalid="true" aria-describedby="email-problem' in bad.html
    assert Attributes(bad.html).found <= KNOWN
