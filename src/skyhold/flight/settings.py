"""The flight service's settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasChoices, Field

from skyhold.kernel.settings import KernelSettings, looks_like, mysql_url


class FlightSettings(KernelSettings):
    """A name with FLIGHT_ in front wins, so that both services can share one environment."""

    port: int = Field(
        3000,
        ge=1,
        le=65_535,
        validation_alias=AliasChoices("FLIGHT_PORT", "PORT", "port"),
        description="Where it listens when it runs by itself",
    )
    worker_port: int = Field(
        3001,
        ge=1,
        le=65_535,
        validation_alias=AliasChoices("FLIGHT_WORKER_PORT", "flight_worker_port"),
        description="Health and metrics of a worker",
    )
    booking_service: Annotated[
        str, looks_like(r"https?://[^\s/]+/?$", "http://host:4000, without a path")
    ] = Field(
        "http://localhost:4000",
        description="Where the booking service is; it is asked whether staff are still logged in",
    )
    booking_timeout_s: float = Field(2.0, gt=0, description="One call to the booking service")
    jwt_keys_published: bool = Field(
        default=False,
        description="Access tokens are verified by the public keys that BOOKING_SERVICE "
        "publishes, and JWT_SECRET is not needed here",
    )
    relay_period_s: float = Field(0.5, gt=0, description="How often events are published")
    relay_batch_max: int = Field(200, ge=1, description="Events published in one round at most")
    database_url: str | None = Field(
        None,
        validation_alias=AliasChoices("FLIGHT_DATABASE_URL", "DATABASE_URL", "database_url"),
        description="`mysql://`, `postgresql://` or `sqlite:///`; without it a SQLite file. "
        "Several hosts as in the booking service's",
    )
    db_host: str | None = Field(
        None,
        validation_alias=AliasChoices("FLIGHT_DB_HOST", "db_host"),
        description="Means MySQL on this host, or on several; FLIGHT_DATABASE_URL wins",
    )
    db_name: str | None = Field(
        None,
        validation_alias=AliasChoices("FLIGHT_DB_NAME", "db_name"),
        description="With FLIGHT_DB_HOST: the database; `skyhold` if unset",
    )
    db_user: str | None = Field(
        None,
        validation_alias=AliasChoices("FLIGHT_DB_USER", "db_user"),
        description="With FLIGHT_DB_HOST: who logs in; `root` if unset",
    )
    db_pass: str | None = Field(
        None,
        validation_alias=AliasChoices("FLIGHT_DB_PASS", "db_pass"),
        description="With FLIGHT_DB_HOST: the password",
    )
    sweep_period_s: float = Field(1.0, gt=0, description="How often ended holds are swept")
    sweep_batch_max: int = Field(500, ge=1, description="How many holds one sweep ends at most")
    hold_batch_max: int = Field(128, ge=1, description="How many holds one transaction decides")
    hold_waiting_max: int = Field(5_000, ge=1, description="How many hold calls may wait")

    def database(self) -> str:
        """The URL of the flight database: FLIGHT_DATABASE_URL, FLIGHT_DB_HOST…, or SQLite."""
        if self.database_url:
            return self.database_url
        if self.db_host:
            return mysql_url(self.db_host, self.db_name, self.db_user, self.db_pass)
        return f"sqlite:///{self.data_dir / 'flight.db'}"
