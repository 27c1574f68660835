"""The run folder: what a run of the rig writes down, and the checker reads afterwards.

run.json        what was run, on what, with which limits, and when (`Run`)
history.jsonl   what the buyers did and were told
faults.jsonl    what the proxies and the nemesis did to the system
events.jsonl    every message that a queue of our own got (the listener)
samples.jsonl   what the sampler saw in the flight database, all the time
logs/           what each process said
disk/           the databases and the provider's ledger
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Run:
    """One run. `save` it whenever something of it is known; `load` it from its folder."""

    folder: Path
    seed: int
    db: str
    minutes: float
    booking_db_url: str
    flight_db_url: str
    sandbox_db: str
    payment_window_s: int
    hold_grace_s: int
    give_up_after_s: int
    amqp_url: str | None
    amqp_prefix: str
    began_at: float
    healed_at: float | None = None
    quiet_at: float | None = None
    mutant: str | None = None
    notes: list[str] = field(default_factory=list)

    def save(self) -> None:
        """Write run.json."""
        told = {name: value for name, value in asdict(self).items() if name != "folder"}
        (self.folder / "run.json").write_text(json.dumps(told, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read run.json."""
        return cls(folder=folder, **json.loads((folder / "run.json").read_text()))

    def journal(self, name: str) -> Journal:
        """The journal of this name, to be written on."""
        return Journal(self.folder / f"{name}.jsonl")

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """What is in the journal of this name."""
        path = self.folder / f"{name}.jsonl"
        if path.exists():
            with path.open() as file:
                yield from map(json.loads, file)


class Journal:
    """One JSON object a line, each written at once: a run that is killed leaves what it knew."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line."""
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Nothing is written any more."""
        self._file.close()
