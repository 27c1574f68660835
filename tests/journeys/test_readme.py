"""The README's session, pasted into a shell as it stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from support.system import SETTINGS, Server, free_port, stop, wait_until_ready

ROOT = Path(__file__).parents[2]


def session() -> str:
    """The commands between "A session to paste" and the next heading."""
    part = (ROOT / "README.md").read_text().split("## A session to paste")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", part, re.DOTALL))


def test_every_command_of_the_session_works_as_pasted(tmp_path, template):
    shutil.copytree(template, tmp_path / "data")
    port = free_port()
    environment = {name.upper(): str(value) for name, value in SETTINGS.items()}
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("skyhold"), "serve", "--demo", "--port", str(port)],
            env=os.environ | environment | {"DATA_DIR": str(tmp_path / "data")},
            stderr=file,
            cwd=tmp_path,
        )
    server = Server("skyhold", f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until_ready(server)
        commands = session().replace("localhost:4000", f"127.0.0.1:{port}")
        pasted = subprocess.run(
            [
                "bash",
                "-eu",
                "-o",
                "pipefail",
                "-c",
                commands.replace("| head -40", "| sed -n 1,40p"),
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=60,
            check=False,
        )
    finally:
        stop(server)
    assert (pasted.returncode, pasted.stderr) == (0, "")
    said = pasted.stdout
    assert '"origin": "JFK"' in said  # found
    assert '"characteristics"' in said  # the seat map
    assert '"email":"ada-' in said  # registered
    assert said.count('"status": "held"') == 1  # booked
    assert "\nconfirmed\n" in said  # paid
    assert '"status": "confirmed"' in said  # read
    assert '{"status": "succeeded"' in said  # cancelled and refunded
