"""Settings: the original service's names work, and what cannot work is refused in a sentence."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from skyhold import cli
from skyhold.booking.settings import BookingSettings
from skyhold.booking.wiring import open_database, wire
from skyhold.kernel.settings import SettingsError
from support.system import free_port

SKYHOLD = Path(sys.executable).with_name("skyhold")


def settings(**given):
    return BookingSettings(_env_file=None, **given)


def test_without_settings_everything_has_a_place_and_a_bound():
    plain = settings()
    assert plain.port == 4000
    assert plain.database() == "sqlite:///data/booking.db"
    assert (plain.payment_window_s, plain.hold_grace_s, plain.expiry_period_s) == (900, 120, 1)
    assert plain.cookie_secure is True
    assert plain.bcrypt_cost == 12


def test_the_names_of_the_original_service_work(monkeypatch):
    environment = {
        "PORT": "4321",
        "DB_HOST": "db.internal",
        "DB_NAME": "bookings",
        "DB_USER": "sky",
        "DB_PASS": "p@ss:word/",
        "FLIGHT_SERVICE": "http://flights.internal:3000",
        "JWT_SECRET": "j" * 32,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = settings()
    assert found.port == 4321
    assert found.database() == "mysql://sky:p%40ss%3Aword%2F@db.internal/bookings"
    assert found.flight_service == "http://flights.internal:3000"
    assert found.jwt_secret == "j" * 32


def test_database_url_wins_over_the_original_names():
    found = settings(database_url="sqlite:////srv/sky.db", db_host="db.internal")
    assert found.database() == "sqlite:////srv/sky.db"


REFUSED = {
    "holds end while we wait": {"hold_grace_s": 60, "give_up_after_s": 60},
    "no time for one call": {"flight_timeout_s": 3, "flight_deadline_s": 2},
    "a payment outlives the server": {"provider_timeout_s": 30, "drain_s": 10},
    "no window": {"payment_window_s": 0},
    "a window below zero": {"payment_window_s": -900},
    "a window without end": {"payment_window_s": 43_201},
    "no grace": {"hold_grace_s": 0},
    "grace without end": {"hold_grace_s": 3_601},
    "no pause between rounds": {"expiry_period_s": 0},
    "rounds of nothing": {"expiry_batch_max": 0},
    "a relay of nothing": {"relay_batch_max": 0},
    "a port that is none": {"port": 65_536},
    "a port of words": {"port": "http"},
    "a service without http": {"flight_service": "flights.internal:3000"},
    "a service with a path": {"flight_service": "http://flights.internal/api"},
    "a sandbox without http": {"sandbox_url": "sandbox.internal:4002"},
    "a sandbox with a path": {"sandbox_url": "http://sandbox.internal/v1"},
    "a page with a path": {"sandbox_public_url": "https://pay.example/sandbox"},
    "no patience": {"provider_timeout_s": 0},
    "patience below zero": {"flight_timeout_s": -1},
    "hashing for nothing": {"bcrypt_cost": 3},
    "hashing for ever": {"bcrypt_cost": 17},
    "tokens that end at once": {"access_token_ttl_s": 0},
    "tokens that never end": {"access_token_ttl_s": 86_401},
    "no connections": {"db_pool_max": 0},
    "a log level nobody knows": {"log_level": "LOUD"},
    "not a number": {"payment_window_s": "soon"},
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_work_is_refused(what):
    with pytest.raises(ValidationError) as refused:
        settings(**REFUSED[what])
    (error,) = refused.value.errors()
    assert "\n" not in error["msg"]
    assert len(error["msg"]) > 20


def test_a_combination_that_cannot_work_names_both_settings():
    with pytest.raises(ValidationError, match="HOLD_GRACE_S must be larger than GIVE_UP_AFTER_S"):
        settings(hold_grace_s=30)
    with pytest.raises(ValidationError, match=r"FLIGHT_DEADLINE_S .* FLIGHT_TIMEOUT_S"):
        settings(flight_timeout_s=6)


@pytest.mark.parametrize("name", ["jwt_secret", "service_secret", "password_pepper"])
def test_a_short_secret_is_refused_without_being_told(tmp_path, name):
    with pytest.raises(SettingsError) as refused:
        wire(settings(data_dir=tmp_path, **{name: "too-short-a-secret"}))
    assert str(refused.value) == f"{name.upper()} must have at least 32 bytes."


@pytest.mark.parametrize(
    "given",
    [
        {"database_url": "oracle://ada:hunter2@db.internal/sky"},
        {"database_url": "mssql+pyodbc://ada:hunter2@db.internal/sky"},
        {"database_url": "sqlite://"},
        {"database_url": "sqlite:///:memory:"},
        {"database_url": "mysql://ada:hunter2@db.internal"},
        {"database_url": "hunter2"},
    ],
    ids=str,
)
def test_a_database_that_cannot_be_run_on_is_refused_in_a_sentence(given):
    with pytest.raises(SettingsError) as refused:
        open_database(settings(**given))
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert "://" in sentence, "it shows how an address looks"
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"db_host": "db"}, "mysql+asyncmy://root@db/skyhold"),
        ({"db_host": "db:3307", "db_name": "sky"}, "mysql+asyncmy://root@db:3307/sky"),
        (
            {"db_host": "db", "db_user": "a@b", "db_pass": "p:/?#ä"},
            "mysql+asyncmy://a%40b:p%3A%2F%3F%23%C3%A4@db/skyhold",
        ),
    ],
    ids=["a host", "a port", "signs in a password"],
)
async def test_the_original_names_mean_mysql(given, url):
    db = open_database(settings(**given))
    assert db.is_server
    assert db.url == make_url(url)
    await db.close()


async def test_secrets_are_made_once_and_for_the_owner_only(tmp_path):
    for _ in range(2):
        service = wire(settings(data_dir=tmp_path))
        for close in (service.flights, service.provider, service.db):
            await close.close()
        found = {
            name: (tmp_path / name).read_text()
            for name in ("jwt_secret", "service_secret", "password_pepper")
        }
        assert len(set(found.values())) == 3
        for name, value in found.items():
            assert len(value) >= 32
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    again = {name: (tmp_path / name).read_text() for name in found}
    assert again == found


def test_the_command_says_in_one_line_why_it_does_not_start(tmp_path):
    ended = subprocess.run(
        [SKYHOLD, "booking", "serve"],
        env={name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        | {"DATABASE_URL": "oracle://ada:hunter2@db.internal/sky", "PORT": str(free_port())},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("skyhold: oracle is not supported")
    assert ended.stdout == ""


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_combination_that_cannot_work_is_told_in_one_line_too(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(cli.app, ["booking", command], env={"HOLD_GRACE_S": "5"})
    assert ended.exit_code == 2
    assert ended.output == (
        "skyhold: settings: HOLD_GRACE_S must be larger than GIVE_UP_AFTER_S, "
        "or holds end while we wait\n"
    )
    assert list(tmp_path.iterdir()) == []
