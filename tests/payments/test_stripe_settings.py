"""Which provider: said completely or refused in a sentence, and paid for only when used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from skyhold import cli
from skyhold.booking.settings import BookingSettings
from skyhold.booking.wiring import wire
from skyhold.cli.running import refusals

KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
SECRET = "whsec_5f1b2c3d"
STRIPE = {"payment_provider": "stripe", "stripe_api_key": KEY, "stripe_webhook_secret": SECRET}


def settings(**given):
    return BookingSettings(_env_file=None, **given)


REFUSED = {
    "no key": (
        {"payment_provider": "stripe", "stripe_webhook_secret": SECRET},
        "PAYMENT_PROVIDER=stripe needs STRIPE_API_KEY and STRIPE_WEBHOOK_SECRET",
    ),
    "no webhook secret": (
        {"payment_provider": "stripe", "stripe_api_key": KEY},
        "PAYMENT_PROVIDER=stripe needs STRIPE_API_KEY and STRIPE_WEBHOOK_SECRET",
    ),
    "a key, and the sandbox all the same": (
        {"stripe_api_key": KEY},
        "STRIPE_API_KEY means nothing without PAYMENT_PROVIDER=stripe",
    ),
    "a webhook secret, and the sandbox": (
        {"stripe_webhook_secret": SECRET},
        "STRIPE_WEBHOOK_SECRET means nothing without PAYMENT_PROVIDER=stripe",
    ),
    "real money at a stand-in": (
        STRIPE | {"stripe_api_key": "sk_live_x", "stripe_api_base": "http://127.0.0.1:8420"},
        "STRIPE_API_BASE is for tests, and STRIPE_API_KEY is for real money",
    ),
    "two providers": (
        STRIPE | {"sandbox_url": "http://127.0.0.1:4002"},
        "SANDBOX_URL means nothing with PAYMENT_PROVIDER=stripe",
    ),
    "the key for browsers": (STRIPE | {"stripe_api_key": "pk_test_x"}, "never pk_"),
    "a secret that is none": (STRIPE | {"stripe_webhook_secret": KEY}, "whsec_"),
    "a place that is none": (STRIPE | {"payment_return_url": "shop.example"}, "https://"),
    "another provider": ({"payment_provider": "paypal"}, "'sandbox' or 'stripe'"),
}


@pytest.mark.parametrize(("given", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused_in_one_sentence_without_the_key(given, sentence, capsys):
    with pytest.raises(typer.Exit), refusals():
        settings(**given)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("skyhold: ")
    assert sentence in line
    assert KEY not in line
    assert SECRET not in line


def test_the_secrets_are_not_shown_with_the_settings():
    told = repr(settings(**STRIPE))
    assert KEY not in told
    assert SECRET not in told


async def test_the_settings_choose_the_provider(tmp_path):
    for given, name in ((STRIPE, "stripe"), ({}, "sandbox")):
        service = wire(settings(data_dir=tmp_path, **given))
        assert service.provider.name == name
        assert (service.webhooks is not None) == (name == "stripe")
        await service.close()


def test_who_does_not_use_stripe_does_not_load_its_library(tmp_path):
    code = (
        "import sys\n"
        "from skyhold import cli\n"
        "from skyhold.booking.settings import BookingSettings\n"
        "from skyhold.booking.wiring import wire\n"
        f"wire(BookingSettings(_env_file=None, data_dir={str(tmp_path)!r}, **{{}}))\n"
        "assert 'stripe' not in sys.modules, 'loaded'\n"
    )
    with_stripe = code.replace("**{}", f"**{STRIPE!r}")
    assert _python(code).returncode == 0
    assert b"AssertionError: loaded" in _python(with_stripe).stderr


def test_every_module_of_it_is_behind_one_door():
    """Nothing but the door imports the package that needs Stripe's library."""
    source = Path(cli.__file__).parents[1]
    payments = source / "booking" / "clients" / "payments"
    for path in source.rglob("*.py"):
        if payments / "stripe" in path.parents or path == payments / "from_settings.py":
            continue
        text = path.read_text()
        assert "import stripe\n" not in text, path
        assert "payments.stripe" not in text, path


def _python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
