"""What a starting process says of the payments: who takes them, and when that is nobody."""

from __future__ import annotations

import pytest

from skyhold.booking.settings import BookingSettings
from skyhold.cli.options import greet, tell_of_worker
from skyhold.sandbox.settings import SandboxSettings

STRIPE = {
    "payment_provider": "stripe",
    "stripe_api_key": "sk_test_1",
    "stripe_webhook_secret": "whsec_1",
}
SERVERS = ["mysql://db.internal/sky", "postgresql://ada:hunter2@db.internal/sky"]
WARNING = "WARNING: the payment provider is the sandbox, so no money moves"


@pytest.fixture
def said(capsys):
    def said(**given):
        greet(4000, BookingSettings(_env_file=None, **given))
        return capsys.readouterr().err

    return said


def test_it_says_who_takes_the_payments(said):
    assert "payments: sandbox, inside, its ledger" in said()
    there = said(sandbox_url="http://sandbox.internal:4002")
    assert "payments: sandbox, http://sandbox.internal:4002" in there
    assert "payments: stripe" in said(**STRIPE)


@pytest.mark.parametrize("url", SERVERS)
def test_the_sandbox_on_a_database_server_is_warned_of(said, url):
    warned = said(database_url=url)
    assert WARNING in warned
    assert "hunter2" not in warned
    assert WARNING in said(database_url=url, sandbox_url="http://sandbox.internal:4002")
    assert WARNING not in said(database_url=url, **STRIPE)


def test_on_a_file_of_this_machine_nobody_is_warned(said):
    assert WARNING not in said()
    assert WARNING not in said(database_url="sqlite:////srv/sky.db")


def test_a_worker_says_it_too(capsys):
    settings = BookingSettings(_env_file=None, db_host="db.internal")
    tell_of_worker("booking", 4001, settings)
    told = capsys.readouterr().err
    assert "payments: sandbox" in told
    assert WARNING in told


def test_payers_find_the_page_where_the_sandbox_is(tmp_path):
    assert BookingSettings(_env_file=None).page_url == "http://localhost:4000"
    assert BookingSettings(_env_file=None, port=8080).page_url == "http://localhost:8080"
    public = {"sandbox_public_url": "https://pay.example"}
    assert BookingSettings(_env_file=None, **public).page_url == "https://pay.example"
    assert SandboxSettings(_env_file=None, sandbox_port=4444).page_url == "http://localhost:4444"
    assert SandboxSettings(_env_file=None, **public).page_url == "https://pay.example"
