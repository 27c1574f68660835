"""The booking service's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from skyhold.kernel.quotas import QuotaText
from skyhold.kernel.settings import KernelSettings, looks_like, mysql_url

BCRYPT_COST_MIN = 4
FLIGHT_SERVICE_DEFAULT = "http://localhost:3000"


class BookingSettings(KernelSettings):
    """The original service's names PORT, DB_*, FLIGHT_SERVICE and JWT_SECRET work as they are."""

    port: int = Field(
        4000, ge=1, le=65_535, description="Where it listens; `skyhold serve` too, for both"
    )
    database_url: str | None = Field(
        None,
        description="`mysql://`, `postgresql://` or `sqlite:///`; without it a SQLite file. A "
        "server may have several hosts, `mysql://user:password@a:3306,b:3306,c/name`: the first "
        "that can be used is used",
    )
    db_host: str | None = Field(
        None,
        description="Means MySQL on this host (`host` or `host:port`, or several, `a,b,c`); "
        "DATABASE_URL wins",
    )
    db_name: str | None = Field(None, description="With DB_HOST: the database; `skyhold` if unset")
    db_user: str | None = Field(None, description="With DB_HOST: who logs in; `root` if unset")
    db_pass: str | None = Field(None, description="With DB_HOST: the password")
    flight_service: Annotated[
        str | None, looks_like(r"https?://[^\s/]+/?$", "http://host:3000, without a path")
    ] = Field(
        None,
        description="Where the flight service is; unset, `skyhold serve` runs it inside and "
        "`booking serve` looks at http://localhost:3000",
    )
    pages: bool = Field(
        default=True, description="Pages for browsers beside the API; off for an API by itself"
    )
    flight_timeout_s: float = Field(2.0, gt=0, description="One call to the flight service")
    flight_deadline_s: float = Field(5.0, gt=0, description="A call with all its repeats")
    breaker_failures_max: int = Field(
        5, ge=1, description="Failures in a row after which another party is left alone"
    )
    breaker_pause_s: float = Field(5.0, gt=0, description="For how long, before it is tried again")
    payment_window_s: int = Field(900, ge=1, le=43_200, description="Time to pay for a booking")
    hold_grace_s: int = Field(120, ge=1, le=3_600, description="How much longer its hold lives")
    give_up_after_s: int = Field(60, ge=0, description="After the window, on a silent provider")
    provider_timeout_s: float = Field(8.0, gt=0, description="One call to the payment provider")
    sandbox_url: Annotated[
        str | None, looks_like(r"https?://[^\s/]+/?$", "http://host:4002, without a path")
    ] = Field(
        None,
        description="Where `skyhold sandbox serve` is; unset, the sandbox runs inside, its ledger "
        "in DATA_DIR",
    )
    sandbox_public_url: Annotated[
        str | None, looks_like(r"https?://[^\s/]+/?$", "http://host:4000, without a path")
    ] = Field(
        None,
        description="Where payers reach the page of a sandbox that runs inside; unset, at "
        "http://localhost and PORT",
    )
    payment_provider: Literal["sandbox", "stripe"] = Field(
        "sandbox", description="Who takes the money; the sandbox takes none"
    )
    stripe_api_key: Annotated[
        str | None, looks_like(r"(sk|rk)_(test|live)_\w+$", "sk_test_…, or rk_live_… (never pk_…)")
    ] = Field(None, repr=False, description="Stripe's secret key, or a restricted one")
    stripe_webhook_secret: Annotated[str | None, looks_like(r"whsec_\S+$", "whsec_…")] = Field(
        None, repr=False, description="Stripe signs its webhooks with it"
    )
    stripe_api_base: Annotated[
        str | None, looks_like(r"https?://[^\s/]+/?$", "http://host:8420, without a path")
    ] = Field(None, description="A stand-in for Stripe, for tests; unset, Stripe itself")
    payment_return_url: Annotated[
        str | None, looks_like(r"[a-z][a-z0-9+.-]*://\S+$", "https://shop.example/paid")
    ] = Field(
        None,
        description="Where Stripe sends a payer after 3-D Secure; unset, the payer stays on the "
        "page and Stripe's library there takes over",
    )
    sandbox_slow_s: float = Field(3.0, ge=0, description="How long tok_slow takes")
    expiry_period_s: float = Field(1.0, gt=0, description="How often the driver looks for work")
    expiry_batch_max: int = Field(
        64, ge=1, description="How many steps of one kind the driver has under way at most"
    )
    relay_period_s: float = Field(0.5, gt=0, description="How often events are published")
    relay_batch_max: int = Field(200, ge=1, description="Events published in one round at most")
    audit_period_s: int = Field(
        86_400, ge=0, description="How often the books are compared, by one process; 0 for never"
    )
    audit_since_s: int = Field(
        2_592_000, ge=1, description="How far back payments are compared with the provider's"
    )
    audit_rows_per_s: float = Field(
        1_000, gt=0, description="How many rows the periodic audit compares in a second at most"
    )
    audit_patience_s: float = Field(
        300, ge=0, description="How late a row may be before the audit calls it stuck"
    )
    audit_settle_s: float = Field(
        5.0,
        ge=0,
        description="How long what looks wrong is left alone before a second look",
    )
    record_batch_max: int = Field(128, ge=1, description="Bookings written in one transaction")
    record_waiting_max: int = Field(5_000, ge=1, description="How many may wait to be written")
    login_limit: QuotaText = Field(
        "5/minute; 10/10minutes; 20/hour",
        description="Passwords tried for one account from one address; several windows make the "
        "wait grow; `off` for no limit",
    )
    login_address_limit: QuotaText = Field(
        "30/minute; 200/hour", description="Logins tried from one address, for any account"
    )
    register_limit: QuotaText = Field(
        "10/minute; 60/hour", description="Accounts opened from one address"
    )
    redis_url: Annotated[
        str | None, looks_like("rediss?://[^/]+", "redis://:password@host:6379/0")
    ] = Field(
        None,
        repr=False,
        description="Where logins and registrations are counted; unset, in the database",
    )
    redis_timeout_s: float = Field(
        0.25, gt=0, description="How long it is waited for, before a process counts by itself"
    )
    unpaid_bookings_max: int = Field(
        3, ge=1, description="Unpaid bookings that a user may have at the same time"
    )
    unpaid_seats_max: int = Field(9, ge=1, description="Seats in them, on all flights together")
    password_waiting_max: int = Field(64, ge=1, description="How many may wait to be hashed")
    session_idle_max_s: int = Field(
        1_209_600, ge=60, description="How long a session lives without being refreshed"
    )
    session_max_s: int = Field(
        2_592_000, ge=60, description="How long a session lives, however often it is refreshed"
    )
    refresh_repeat_max_s: int = Field(
        10,
        ge=0,
        le=60,
        description="How late a refresh whose answer was lost may be repeated; a token that is "
        "used again after that ends its session",
    )
    jwt_keys: Path | None = Field(
        None,
        description="A folder of key pairs (NAME.pem, Ed25519 or P-256) that access tokens are "
        "signed with; unset, they are signed with JWT_SECRET",
    )
    jwt_signing_key: str | None = Field(
        None, description="With JWT_KEYS: the NAME of the key that signs, where there are several"
    )
    worker_port: int = Field(4001, ge=1, le=65_535, description="Health and metrics of a worker")
    mail_from: str = Field("Skyhold <bookings@skyhold.example>", description="Sender of e-mails")
    smtp_host: str | None = Field(
        None, description="Where e-mails go; without it they are written to DATA_DIR/mail"
    )
    smtp_port: int = Field(587, ge=1, le=65_535, description="465 is the usual one for `tls`")
    smtp_user: str | None = Field(None, description="Who logs in at the mail server; unset: nobody")
    smtp_pass: str | None = Field(None, description="With which password")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="`starttls` and `tls` insist on it; `none` is for this machine only"
    )
    smtp_timeout_s: float = Field(10.0, gt=0, description="One e-mail, until the server has it")
    password_pepper: str | None = Field(
        None, description="Keys the password hashes; unset, one is made"
    )
    password_peppers_old: str | None = Field(
        None,
        repr=False,
        description="Peppers of before, the oldest first, separated by commas: passwords hashed "
        "with them still count, and are hashed anew at the next login",
    )
    bcrypt_cost: int = Field(
        12, ge=BCRYPT_COST_MIN, le=16, description="Cost of a password hash; each step doubles it"
    )

    def database(self) -> str:
        """The URL of the booking database: DATABASE_URL, DB_HOST…, or SQLite."""
        if self.database_url:
            return self.database_url
        if self.db_host:
            return mysql_url(self.db_host, self.db_name, self.db_user, self.db_pass)
        return f"sqlite:///{self.data_dir / 'booking.db'}"

    @property
    def older_peppers(self) -> list[str]:
        """The peppers of before, the oldest first."""
        return [it.strip() for it in (self.password_peppers_old or "").split(",") if it.strip()]

    def sandbox(self) -> str:
        """The URL of the sandbox provider's ledger."""
        return f"sqlite:///{self.data_dir / 'sandbox.db'}"

    @model_validator(mode="after")
    def _hold_outlives_settling(self) -> BookingSettings:
        if (self.db_name or self.db_user or self.db_pass) and not (
            self.db_host or self.database_url
        ):
            msg = "DB_NAME, DB_USER and DB_PASS mean nothing without DB_HOST"
            raise ValueError(msg)
        if self.hold_grace_s <= self.give_up_after_s:
            msg = "HOLD_GRACE_S must be larger than GIVE_UP_AFTER_S, or holds end while we wait"
            raise ValueError(msg)
        if self.flight_deadline_s < self.flight_timeout_s:
            msg = "FLIGHT_DEADLINE_S covers all attempts, so it cannot be below FLIGHT_TIMEOUT_S"
            raise ValueError(msg)
        if self.drain_s < self.pay_max_s:
            msg = f"DRAIN_S must be at least {self.pay_max_s:.0f}, the longest a payment may take"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _sessions_make_sense(self) -> BookingSettings:
        if self.jwt_signing_key is not None and self.jwt_keys is None:
            msg = "JWT_SIGNING_KEY means nothing without JWT_KEYS"
            raise ValueError(msg)
        if self.session_max_s < self.session_idle_max_s:
            msg = "SESSION_MAX_S must be at least SESSION_IDLE_MAX_S, or sessions never get so old"
            raise ValueError(msg)
        if self.session_idle_max_s < self.access_token_ttl_s:
            msg = "SESSION_IDLE_MAX_S must be at least ACCESS_TOKEN_TTL_S"
            raise ValueError(msg)
        return self

    @property
    def page_url(self) -> str:
        """Where payers find the pages of a sandbox that runs inside."""
        return self.sandbox_public_url or f"http://localhost:{self.port}"

    @model_validator(mode="after")
    def _provider_is_complete(self) -> BookingSettings:
        if self.payment_provider == "stripe":
            if self.stripe_api_key is None or self.stripe_webhook_secret is None:
                msg = "PAYMENT_PROVIDER=stripe needs STRIPE_API_KEY and STRIPE_WEBHOOK_SECRET"
                raise ValueError(msg)
            if "_live_" in self.stripe_api_key and self.stripe_api_base is not None:
                msg = "STRIPE_API_BASE is for tests, and STRIPE_API_KEY is for real money"
                raise ValueError(msg)
            if self.sandbox_url is not None:
                msg = "SANDBOX_URL means nothing with PAYMENT_PROVIDER=stripe"
                raise ValueError(msg)
        else:
            # Somebody who has set one of these believes that money is taken.
            for name in ("stripe_api_key", "stripe_webhook_secret", "stripe_api_base"):
                if getattr(self, name) is not None:
                    msg = f"{name.upper()} means nothing without PAYMENT_PROVIDER=stripe"
                    raise ValueError(msg)
        return self

    @property
    def pay_max_s(self) -> float:
        """The longest a payment is waited for: authorise, confirm the seats, capture."""
        return 2 * self.provider_timeout_s + self.flight_deadline_s
