"""The settings of the sandbox provider, when it runs as a process of its own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from skyhold.kernel.settings import KernelSettings, looks_like


class SandboxSettings(KernelSettings):
    """The ledger is in DATA_DIR; whoever pays finds its page under SANDBOX_PUBLIC_URL."""

    sandbox_port: int = Field(4002, ge=1, le=65_535, description="Where it listens")
    sandbox_slow_s: float = Field(3.0, ge=0, description="How long tok_slow takes")
    sandbox_public_url: Annotated[
        str | None, looks_like(r"https?://[^\s/]+/?$", "http://host:4002, without a path")
    ] = Field(
        None,
        description="Where payers reach its page; unset, at http://localhost and its port",
    )

    def ledger(self) -> str:
        """The URL of its ledger."""
        return f"sqlite:///{self.data_dir / 'sandbox.db'}"

    @property
    def page_url(self) -> str:
        """Where the pages for payers are."""
        return self.sandbox_public_url or f"http://localhost:{self.sandbox_port}"
