"""Several hosts in one address: how they are read, shown, and refused."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from skyhold.kernel.db import Database
from skyhold.kernel.engines import engine_for, shown
from skyhold.kernel.engines.hosts import Host, split
from skyhold.kernel.settings import SettingsError, mysql_url

SEVERAL = {
    "mysql://u:p@a:3306,b:3307,c/sky": (
        "mysql://u:p@a:3306/sky",
        (Host("a", 3306), Host("b", 3307), Host("c")),
    ),
    "mysql://a,b/sky": ("mysql://a/sky", (Host("a"), Host("b"))),
    "mysql://a:1,b:2/sky": ("mysql://a:1/sky", (Host("a", 1), Host("b", 2))),
    "postgresql://u:p,w@a, b/sky?sslmode=require": (
        "postgresql://u:p,w@a/sky?sslmode=require",
        (Host("a"), Host("b")),
    ),
    "postgresql://u:p%40/w@[::1]:5432,[fe80::2]/sky": (
        "postgresql://u:p%40/w@[::1]:5432/sky",
        (Host("::1", 5432), Host("fe80::2")),
    ),
}
ONE = [
    "sqlite:////srv/a,b.db",
    "mysql://u:p,w@a:3306/sky",
    "mysql://a/sky?charset=utf8,x",
    "mysql://u@/sky?unix_socket=/run/a,b.sock",
    "hunter2",
]
REFUSED = {
    "mysql://u:hunter2@,b/sky": "Host 1 in the database's URL is empty; ",
    "mysql://u:hunter2@a,/sky": "Host 2 in the database's URL is empty; ",
    "mysql://u:hunter2@a,,c/sky": "Host 2 in the database's URL is empty; ",
    "mysql://u:hunter2@a,b:/sky": "The port of host 2 in the database's URL is not a port",
    "mysql://u:hunter2@a:0,b/sky": "The port of host 1 in the database's URL is not a port",
    "mysql://u:hunter2@a,b:65536/sky": "The port of host 2 in the database's URL is not a port",
    "postgresql://u:hunter2@a,b:x5432/sky": "The port of host 2 in the database's URL is not",
    "postgresql://u:hunter2@hunter2@a,b/sky": "Host 1 in the database's URL cannot be read; ",
    "postgresql://u:hunter2@::1,b/sky": "Host 1 in the database's URL cannot be read; ",
}


@pytest.mark.parametrize("url", SEVERAL)
def test_several_hosts_are_read_in_their_order(url):
    assert split(url) == SEVERAL[url]
    first, hosts = SEVERAL[url]
    parsed = engine_for(url)[0]
    assert parsed.host == hosts[0].name
    assert parsed.password == make_url(first).password


@pytest.mark.parametrize("url", ONE)
def test_one_host_is_left_as_it_is(url):
    assert split(url) == (url, ())


@pytest.mark.parametrize("url", REFUSED)
def test_a_wrong_list_is_refused_in_a_sentence_that_repeats_nothing(url):
    with pytest.raises(SettingsError) as refusal:
        Database(url)
    sentence = str(refusal.value)
    assert sentence.startswith(REFUSED[url])
    assert "mysql://user:password@a:3306,b:3306,c/name" in sentence
    assert "hunter2" not in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:p@hunter2@127.0.0.1:3306/sky",
        "postgresql://u:p@hunter2/x@127.0.0.1/sky",
        "mysql://u:p@hunter2,x/y@127.0.0.1:3306/sky",
    ],
)
def test_a_password_that_is_not_encoded_is_taken_for_no_host(url):
    """A connection would be tried to a part of it, and told of."""
    with pytest.raises(SettingsError, match="%40") as refusal:
        Database(url)
    assert "hunter2" not in str(refusal.value)


def test_all_hosts_are_shown_and_no_password():
    assert shown("mysql://u:hunter2@a:3306,b,[::1]:3/sky") == "mysql://u:***@a:3306,b,[::1]:3/sky"
    assert shown("postgres://u@a,b/sky") == "postgres://u@a,b/sky"
    assert shown("mysql://u:hunter2@a:3306/sky") == "mysql://u:***@a:3306/sky"


def test_db_host_may_be_several_too():
    url = mysql_url("a,b:3307,c", "sky", "ada", "p@,:/")
    assert split(url)[1] == (Host("a"), Host("b", 3307), Host("c"))
    assert engine_for(url)[0].password == "p@,:/"
