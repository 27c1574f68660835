"""Limits as settings write them, and what of an address counts as one place."""

from __future__ import annotations

import pytest

from skyhold.booking.settings import BookingSettings
from skyhold.kernel.quotas import Quota, network_of


def test_the_shortest_window_comes_first():
    quota = Quota.of("login", "20/hour; 5/minute; 10/10minutes")
    assert [(it.amount, it.get_expiry()) for it in quota.windows] == [
        (5, 60),
        (10, 600),
        (20, 3600),
    ]


@pytest.mark.parametrize("text", ["off", " OFF "])
def test_off_is_no_limit(text):
    assert Quota.of("login", text).windows == ()


@pytest.mark.parametrize(
    "text", ["", "five a minute", "5", "5/minute; many", "-1/minute", "5/blink"]
)
def test_what_cannot_be_read_is_refused_at_the_start(text):
    with pytest.raises(ValueError, match="should look like 5/minute; 20/hour"):
        BookingSettings(_env_file=None, login_limit=text)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "nowhere"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_customer_is_one_place(address, network):
    assert network_of(address) == network
