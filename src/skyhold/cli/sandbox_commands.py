"""`skyhold sandbox …`."""

from __future__ import annotations

import typer

from skyhold.kernel import logging
from skyhold.kernel.engines import shown
from skyhold.sandbox.app import create_app, wire
from skyhold.sandbox.settings import SandboxSettings

from .leaving import LameDuck
from .options import Host, Port
from .running import check_free, console, listen, refusals

sandbox_cli = typer.Typer(
    help="The sandbox payment provider.", no_args_is_help=True, rich_markup_mode="markdown"
)


@sandbox_cli.callback()
def _sandbox() -> None:
    """One command today; the callback keeps its name on the command line."""


@sandbox_cli.command("serve")
def serve_sandbox(host: Host = "127.0.0.1", port: Port = None) -> None:
    """Run the sandbox provider by itself; no money moves.

    The booking service runs it inside by default. With SANDBOX_URL it calls this one instead, over
    HTTP, as it would a real provider. Its ledger is DATA_DIR/sandbox.db.
    """
    with refusals():
        settings = SandboxSettings()
        logging.configure(settings.log_level)
        settings.sandbox_port = port or settings.sandbox_port
        check_free(host, settings.sandbox_port, "SANDBOX_PORT")
        ledger = shown(settings.ledger())
        console.print(
            f"The sandbox provider is on http://localhost:{settings.sandbox_port}",
            f"  ledger: {ledger}",
            sep="\n",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        app = LameDuck(create_app(wire(settings), settings), wait_s=settings.lame_duck_s)
        listen(app, host, settings.sandbox_port, settings, name="skyhold-sandbox")
