"""What every service's settings share: where data lives, which secrets, which database."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from .quotas import QuotaText

SECRET_BYTES_MIN = 32


class SettingsError(Exception):
    """A setting, or a combination of settings, that cannot work; one sentence says why."""


_PORT = r"(?:[0-5]?\d{1,4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
_HOST = rf"(?:\[[0-9A-Fa-f:.]+\]|[^/?@,:\[\]\s]+)(?::{_PORT})?"


def looks_like(pattern: str, example: str) -> AfterValidator:
    """A check of a setting that says what it should look like."""

    def check(value: str | None) -> str | None:
        if value is not None and not re.match(pattern, value):
            msg = f"should look like {example}"
            raise ValueError(msg)
        return value

    return AfterValidator(check)


def _origins_only(value: str) -> str:
    for origin in filter(None, value.split(",")):
        # As a browser writes it (RFC 6454, section 6.2), so that equal ones are equal.
        if not re.fullmatch(r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?", origin.strip()):
            msg = "should be origins, such as https://shop.example, separated by commas"
            raise ValueError(msg)
    return value


class KernelSettings(BaseSettings):
    """Read from the environment, then from `.env`; names are case-insensitive."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
    )

    data_dir: Path = Field(Path("data"), description="Where SQLite files and secrets are kept")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="JSON lines on stderr, or colours on a terminal"
    )
    jwt_secret: str | None = Field(
        None, description="Signs access tokens; unset, one is made in DATA_DIR"
    )
    service_secret: str | None = Field(
        None, description="Signs calls between the services; unset, as above"
    )
    access_token_ttl_s: int = Field(
        600, ge=1, le=86_400, description="How long an access token lives; the same for both"
    )
    requests_per_address: QuotaText = Field(
        "6000/minute",
        description="Requests from one address, counted by each process; `off` for no limit",
    )
    requests_per_user: QuotaText = Field(
        "600/minute", description="The same of one user, wherever they come from"
    )
    clock_file: Path | None = Field(None, description="Drills only: moves time, see FileClock")
    db_pool_max: int = Field(10, ge=1, description="Connections per process that read")
    db_writers_max: int = Field(
        10, ge=1, description="Connections per process that write; SQLite has one whatever this is"
    )
    db_wait_s: float = Field(5.0, gt=0, description="Longest wait for a connection or a lock")
    db_statement_s: float = Field(
        15.0, ge=0.1, description="Longest a database server may take over one statement"
    )
    amqp_url: Annotated[
        str | None,
        looks_like(
            rf"amqps?://(?:[^/]*@)?{_HOST}(?:,{_HOST})*(?:[/?]|$)",
            "amqp://user:password@host:5672/vhost",
        ),
    ] = Field(
        None,
        description="RabbitMQ, `amqp://user:password@host:5672/vhost`, of a cluster all hosts: "
        "`host1:5672,host2:5672`; unset, events stay in the process",
    )
    amqp_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,64}$",
        description="Stands before every name on the broker, for several systems on one",
    )
    relay_lease_s: float = Field(
        10.0, ge=1, description="How long a silent process keeps others from publishing events"
    )
    publish_timeout_s: float = Field(5.0, gt=0, description="One event, until the broker has it")
    prefetch_max: int = Field(
        50, ge=1, le=1_000, description="Events that a consumer has in hand at most"
    )
    delivery_limit: int = Field(
        200,
        ge=1,
        description="How often an event is tried before it goes to the dead letters; the queues "
        "keep what they were made with",
    )
    body_bytes_max: int = Field(65_536, ge=1_024, description="Longest request body, in bytes")
    header_bytes_max: int = Field(
        16_384, ge=1_024, description="All headers of a request together, in bytes"
    )
    head_timeout_s: float = Field(
        10.0, gt=0, description="How long a request's line and headers may take to arrive"
    )
    body_timeout_s: float = Field(
        30.0, gt=0, description="How long a request's body may take to arrive, after its headers"
    )
    allowed_origins: Annotated[str, AfterValidator(_origins_only)] = Field(
        "",
        description="Other origins whose pages may call this API with a user's cookie, such as "
        "`https://shop.example`, separated by commas",
    )
    cookie_secure: bool = Field(
        default=True,
        description="Cookies over https only; `skyhold serve` turns it off unless it is set",
    )
    drain_s: int = Field(30, ge=0, description="How long a stopping server waits for requests")
    lame_duck_s: float = Field(
        0.0, ge=0, description="How long it still takes new ones, while /readyz already says no"
    )

    @property
    def origins(self) -> frozenset[str]:
        """The other origins whose pages may call."""
        return frozenset(filter(None, map(str.strip, self.allowed_origins.split(","))))


def secret(given: str | None, *, name: str, data_dir: Path) -> str:
    """The secret from the settings, or one generated once and kept in the data folder (mode 0600).

    Raises SettingsError when it has fewer than 32 bytes.
    """
    path = data_dir / name
    value = given if given is not None else _kept(path)
    if len(value.encode()) < SECRET_BYTES_MIN:
        where = name.upper() if given is not None else f"The secret in {path}"
        msg = f"{where} must have at least {SECRET_BYTES_MIN} bytes."
        raise SettingsError(msg)
    return value


def _kept(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return _generate(path)


def _generate(path: Path) -> str:
    # Written aside and linked into place: of two processes that start together one wins, and
    # nobody ever reads half a secret.
    make_private_folder(path.parent)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
    return path.read_text(encoding="ascii")


def make_private_folder(folder: Path) -> None:
    """Make the folder if it is missing; what is in it is nobody else's business (mode 0700)."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


def mysql_url(host: str, name: str | None, user: str | None, password: str | None) -> str:
    """The URL that the original DB_HOST, DB_NAME, DB_USER and DB_PASS stand for."""
    login = quote(user or "root", safe="") + (f":{quote(password, safe='')}" if password else "")
    return f"mysql://{login}@{host}/{name or 'skyhold'}"
