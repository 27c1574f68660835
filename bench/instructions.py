"""How many instructions the pure hot functions take: the same on a busy machine as on a quiet one.

Counted by valgrind's callgrind (`apt-get install valgrind`), for calls after the first ones, in a
process whose hashes are always the same.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Self

from rich.console import Console
from rich.table import Table

from .hot import HOT

TIMES = 200
WARM_UP = 50
NOTHING = "nothing"
RESULTS = Path(__file__).parent / "results" / "instructions.json"
_TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


def measure() -> dict[str, int]:
    """Instructions of one call, by the function's name."""
    with tempfile.TemporaryDirectory() as folder, _Counted(Path(folder)) as process:
        names = [NOTHING, *HOT]
        found = {name: process.count(name) for name in names}
    return {name: round((found[name] - found[NOTHING]) / TIMES) for name in HOT}


class _Counted:
    """A process under callgrind, which counts only while it is told to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--quiet"]
        command += [f"--callgrind-out-file={self._folder / 'out'}"]
        self._process = subprocess.Popen(
            [*command, sys.executable, "-m", "bench.hot"],
            env=os.environ | {"PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._expect("ready")
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe(self._process.stdin).close()
        self._process.wait(60)

    def count(self, name: str) -> int:
        """The instructions of so many calls, and of what is around them."""
        self._call(name, WARM_UP)
        self._control("-i", "on")
        self._control("-z")
        self._call(name, TIMES)
        self._control("-d")
        self._control("-i", "off")
        dumps = sorted(self._folder.glob("out.*"), key=lambda path: path.stat().st_mtime_ns)
        total = _TOTAL.search(dumps[-1].read_text(encoding="utf-8"))
        assert total is not None, f"{dumps[-1]} has no total"
        return int(total[1])

    def _call(self, name: str, times: int) -> None:
        pipe = self._pipe(self._process.stdin)
        pipe.write(f"{name} {times}\n")
        pipe.flush()
        self._expect("done")

    def _expect(self, word: str) -> None:
        said = self._pipe(self._process.stdout).readline().strip()
        if said != word:
            raise SystemExit(f"bench.hot said {said!r} and not {word!r}")

    def _control(self, *what: str) -> None:
        command = ["callgrind_control", *what, str(self._process.pid)]
        subprocess.run(command, check=True, capture_output=True)

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def main() -> None:
    """Count, compare with the counts that are kept, and keep the new ones."""
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    found = measure()
    table = Table("function", "instructions a call", "before", title="Instruction counts")
    for name, count in found.items():
        then = before.get(name)
        told = "" if then is None else f"{then:,} ({count / then:.2f})"
        table.add_row(name, f"{count:,}", told)
    Console().print(table)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
