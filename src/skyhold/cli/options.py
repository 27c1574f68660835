"""What the commands of both services have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from .running import console

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on, instead of the setting.")]
Workers = Annotated[
    int, typer.Option(min=1, max=64, help="Processes that serve; they share the port.")
]
Jobs = Annotated[
    bool, typer.Option(help="Run the jobs here too; without them, run at least one `worker`.")
]
Migrate = Annotated[
    bool,
    typer.Option(
        "--migrate",
        help="Bring the database to this version's schema first. With SQLite that happens by "
        "itself; a database server of another schema is refused without it.",
    ),
]


def greet(port: int) -> None:
    """Say where it is."""
    console.print(f"Skyhold is on http://localhost:{port} (API documents: /docs)")


def tell_of_worker(service: str, port: int) -> None:
    """Say that it works, and where it answers."""
    console.print(f"The {service} jobs run; see http://localhost:{port}/readyz and /metrics")
