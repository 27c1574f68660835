"""Writes the documents that follow from the code: settings.md, asyncapi.json, openapi-*.json.

.venv/bin/python scripts/docs.py            write them
.venv/bin/python scripts/docs.py --check    exit with 1 when one is out of date
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import httpx
from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from starlette.types import ASGIApp

from skyhold.booking import app as booking_app
from skyhold.booking import wiring as booking_wiring
from skyhold.booking.settings import BookingSettings
from skyhold.contracts.events import EVENT_KINDS
from skyhold.contracts.queues import TOPOLOGY
from skyhold.flight import app as flight_app
from skyhold.flight import wiring as flight_wiring
from skyhold.flight.settings import FlightSettings
from skyhold.kernel.messaging.asyncapi import asyncapi_document
from skyhold.kernel.settings import KernelSettings
from skyhold.sandbox.settings import SandboxSettings

DOCS = Path(__file__).parents[1] / "docs"
ELSEWHERE = "http://localhost:3000"
UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes_max": "bytes", "_bytes": "bytes"}
HEAD = """# Settings

Read from the environment, then from `.env` in the folder a process is started in; an empty value
counts as none. A combination that cannot work is refused at start-up, in a sentence. This page is
made from the settings themselves by `make docs`, and a test compares the two.
"""


def settings_page() -> str:
    """Every setting of both services and of the sandbox, with its unit, default and meaning."""
    shared = KernelSettings.model_fields
    parts = [
        HEAD,
        *_part("Both services", dict(shared), KernelSettings),
        *_part("Booking service", _own(BookingSettings), BookingSettings),
        *_part(
            "Flight service",
            _own(FlightSettings),
            FlightSettings,
            "Where two names are given, the one that begins with `FLIGHT_` wins, so that both "
            "services can read one `.env`.",
        ),
        *_part(
            "Sandbox provider",
            _own(SandboxSettings),
            SandboxSettings,
            "When it runs as a process of its own, `skyhold sandbox serve`.",
        ),
    ]
    return "\n".join(parts)


def pages() -> dict[Path, str]:
    """Every generated document, by its place."""
    booking, flight = asyncio.run(_apis())
    return {
        DOCS / "settings.md": settings_page(),
        DOCS / "asyncapi.json": _events(),
        DOCS / "openapi-booking.json": booking,
        DOCS / "openapi-flight.json": flight,
    }


def _events() -> str:
    limit = KernelSettings.model_fields["delivery_limit"].default
    return asyncapi_document(
        EVENT_KINDS, TOPOLOGY, version=version("skyhold"), delivery_limit=limit
    )


async def _apis() -> tuple[str, str]:
    """The OpenAPI documents of both services, as each of them serves its own."""
    secrets = {"jwt_secret": "-" * 32, "service_secret": "+" * 32}
    with tempfile.TemporaryDirectory() as folder:
        bookings = booking_wiring.wire(
            BookingSettings(_env_file=None, data_dir=folder, flight_service=ELSEWHERE, **secrets)
        )
        flights = flight_wiring.wire(FlightSettings(_env_file=None, data_dir=folder, **secrets))
        return (
            await _api(booking_app.create_app(bookings)),
            await _api(flight_app.create_app(flights, owns_service=True)),
        )


async def _api(app: ASGIApp) -> str:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=ELSEWHERE) as client:
        document = (await client.get("/openapi.json")).raise_for_status().json()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the documents, or with --check only compare them."""
    stale = [
        path
        for path, content in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    for path in stale:
        if "--check" in sys.argv:
            print(f"{path.name} is out of date: make docs", file=sys.stderr)
        else:
            path.write_text(pages()[path], encoding="utf-8")
            print(f"docs/{path.name} written")
    return 1 if stale and "--check" in sys.argv else 0


def _own(settings: type[KernelSettings]) -> dict[str, FieldInfo]:
    shared = KernelSettings.model_fields
    return {name: field for name, field in settings.model_fields.items() if name not in shared}


def _part(
    title: str, fields: dict[str, FieldInfo], settings: type[KernelSettings], *said: str
) -> Iterator[str]:
    yield f"## {title}\n"
    yield from (f"{line}\n" for line in said)
    yield "| name | default | |\n|---|---|---|"
    for name, field in fields.items():
        assert field.description, f"{settings.__name__}.{name} has no description"
        yield f"| {_names(name, field)} | {_default(name, field)} | {field.description} |"
    yield ""


def _names(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    names = alias.choices if isinstance(alias, AliasChoices) else [name]
    distinct = dict.fromkeys(str(choice).upper() for choice in names)
    return ", ".join(f"`{choice}`" for choice in distinct)


def _default(name: str, field: FieldInfo) -> str:
    value: Any = field.default
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    unit = next((unit for suffix, unit in UNITS.items() if name.endswith(suffix)), "")
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    others = [str(choice) for choice in choices if choice != value]
    return f"{shown} {unit}".strip() + (f" (or {', '.join(others)})" if others else "")


if __name__ == "__main__":
    sys.exit(main())
