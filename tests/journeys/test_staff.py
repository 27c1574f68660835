"""An account for staff is opened on the command line, and works where staff are wanted."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from support.system import PASSWORD, SETTINGS


async def test_staff_opened_on_the_command_line_may_change_the_schedule(start_system, tmp_path):
    async with start_system() as system:
        email = "boss@example.com"
        environment = {name.upper(): str(value) for name, value in SETTINGS.items()}
        opened = await asyncio.to_thread(
            subprocess.run,
            [
                Path(sys.executable).with_name("skyhold"),
                *("booking", "create-staff", email, "--name", "Boss", "--password", PASSWORD),
            ],
            env=os.environ | environment | {"DATA_DIR": str(tmp_path / "data")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (opened.returncode, PASSWORD in opened.stderr) == (0, False)

        flight = await system.a_flight()
        login = await system.bookings_http.post(
            "/api/v1/users/login", json={"email": email, "password": PASSWORD}
        )
        staff = {"authorization": f"Bearer {login.json()['access_token']}"}
        system.bookings_http.cookies.clear()
        change = {"fares": {"economy": {"amount": "99.00", "currency": "USD"}}}
        reply = await system.flights_http.patch(
            f"/api/v1/flights/{flight}", json=change, headers=staff
        )
        assert reply.status_code == 200
        assert reply.json()["cabins"][0]["fare"]["amount"] == "99.00"

        passenger = await system.traveller()
        refused = await system.flights_http.patch(
            f"/api/v1/flights/{flight}",
            json=change,
            headers={"authorization": f"Bearer {passenger.token}"},
        )
        assert (refused.status_code, refused.json()["code"]) == (403, "staff_only")
