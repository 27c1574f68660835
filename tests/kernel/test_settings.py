"""Secrets and addresses that the settings of every service share."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import make_url

from skyhold.kernel.settings import KernelSettings, SettingsError, mysql_url, secret


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "not yet" / "there"


# --- secrets ---------------------------------------------------------------------------------


def test_a_secret_is_generated_once_and_only_the_owner_may_read_it(data_dir):
    generated = secret(None, name="jwt_secret", data_dir=data_dir)
    assert len(generated.encode()) >= 32
    assert stat.S_IMODE((data_dir / "jwt_secret").stat().st_mode) == 0o600
    assert secret(None, name="jwt_secret", data_dir=data_dir) == generated
    assert [path.name for path in data_dir.iterdir()] == ["jwt_secret"]


def test_a_folder_made_for_a_secret_is_closed_to_others_and_one_that_was_there_is_left(
    data_dir, tmp_path
):
    secret(None, name="jwt_secret", data_dir=data_dir)
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    tmp_path.chmod(0o750)
    secret(None, name="jwt_secret", data_dir=tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


def test_every_secret_is_another_one(data_dir, tmp_path):
    secrets = {
        secret(None, name="jwt_secret", data_dir=data_dir),
        secret(None, name="service_secret", data_dir=data_dir),
        secret(None, name="jwt_secret", data_dir=tmp_path),
    }
    assert len(secrets) == 3


def test_of_many_who_start_together_all_have_the_same_secret(data_dir):
    with ThreadPoolExecutor(16) as starting:
        found = [
            starting.submit(secret, None, name="jwt_secret", data_dir=data_dir) for _ in range(64)
        ]
    assert len({one.result() for one in found}) == 1
    assert [path.name for path in data_dir.iterdir()] == ["jwt_secret"]


def test_a_given_secret_is_taken_as_it_is_and_not_written_down(data_dir):
    given_one = "x" * 32
    assert secret(given_one, name="jwt_secret", data_dir=data_dir) == given_one
    assert not data_dir.exists()


@pytest.mark.parametrize("short", ["", "x", "x" * 31, "é" * 15])
def test_a_short_secret_is_refused_by_name_and_not_shown(data_dir, short):
    with pytest.raises(SettingsError) as refusal:
        secret(short, name="jwt_secret", data_dir=data_dir)
    assert str(refusal.value) == "JWT_SECRET must have at least 32 bytes."


@pytest.mark.parametrize("kept", ["", "short", "x" * 31])
def test_a_short_secret_in_the_file_is_refused_too(tmp_path, kept):
    (tmp_path / "jwt_secret").write_text(kept)
    with pytest.raises(SettingsError, match="must have at least 32 bytes"):
        secret(None, name="jwt_secret", data_dir=tmp_path)


def test_32_bytes_need_not_be_32_characters(data_dir):
    assert secret("é" * 16, name="jwt_secret", data_dir=data_dir) == "é" * 16


# --- the environment -------------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Nothing is set but what the test sets."""
    for name in KernelSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_without_any_setting_data_is_kept_under_data(environment):
    assert KernelSettings().data_dir == Path("data")


def test_settings_are_read_from_the_environment_before_the_file(environment):
    Path(".env").write_text("DATA_DIR=from-file\nDB_POOL_MAX=3\nSOMETHING_ELSE=1\n")
    environment.setenv("DATA_DIR", "from-environment")
    settings = KernelSettings()
    assert (settings.data_dir, settings.db_pool_max) == (Path("from-environment"), 3)


def test_an_empty_setting_counts_as_not_set(environment):
    environment.setenv("JWT_SECRET", "")
    assert KernelSettings().jwt_secret is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("DB_POOL_MAX", "0"), ("DB_WAIT_S", "0"), ("BODY_BYTES_MAX", "1"), ("LOG_LEVEL", "LOUD")],
)
def test_a_setting_that_cannot_work_is_refused(environment, name, value):
    environment.setenv(name, value)
    with pytest.raises(ValidationError, match=name.lower()):
        KernelSettings()


@pytest.mark.parametrize(
    "url",
    [
        "amqp://h",
        "amqp://u:p@h:5672/vhost",
        "amqps://u:a,b@h1:5672,h2,[::1]:5673/v",
        "amqp://h?heartbeat=5",
    ],
)
def test_a_broker_may_have_several_hosts(environment, url):
    environment.setenv("AMQP_URL", url)
    assert KernelSettings().amqp_url == url


@pytest.mark.parametrize(
    "url",
    [
        "h",
        "amqp://",
        "amqp://h1,,h2",
        "amqp://u:p@h1,/v",
        "http://h",
        "amqp://u:p/w@h1,h2/",
        "amqp://h1:56x2,h2/",
        "amqp://h1:65536",
        "amqp://::1,h2/",
    ],
)
def test_a_broker_without_a_host_is_refused(environment, url):
    environment.setenv("AMQP_URL", url)
    with pytest.raises(ValidationError, match="amqp://user:password@host"):
        KernelSettings()


# --- the original names ----------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)


@given(user=words, password=words)
def test_any_user_and_password_survive_the_address(user, password):
    url = make_url(mysql_url("db.internal", "flights", user, password))
    assert (url.drivername, url.host, url.database) == ("mysql", "db.internal", "flights")
    assert (url.username, url.password) == (user, password)


def test_only_the_host_of_a_database_must_be_named():
    assert mysql_url("db.internal", None, None, None) == "mysql://root@db.internal/skyhold"
