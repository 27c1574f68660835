"""What became of one stage, from the report that pytest wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET


@dataclass(frozen=True)
class Result:
    """How many tests passed, failed and were skipped, and what was measured."""

    name: str
    status: int
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    took_s: float = 0.0
    figures: str = ""

    @property
    def is_good(self) -> bool:
        """Whether there was something to run, and nothing failed."""
        return self.status == 0 and self.failed == 0 and self.passed > 0


def read(report: Path, name: str, status: int) -> Result:
    """Without a report, only that it failed."""
    if not report.exists():
        return Result(name, status or 1, figures="no report")
    suites = ET.parse(report).getroot().findall("testsuite")  # noqa: S314 - written by pytest just now
    count = {kind: sum(int(suite.get(kind, 0)) for suite in suites) for kind in _KINDS}
    failed = count["failures"] + count["errors"]
    told = [f"{it.get('name')}: {it.get('value')}" for it in _properties(suites)]
    return Result(
        name,
        status,
        passed=count["tests"] - failed - count["skipped"],
        failed=failed,
        skipped=count["skipped"],
        took_s=sum(float(suite.get("time", 0)) for suite in suites),
        figures="\n".join(told),
    )


_KINDS = ("tests", "failures", "errors", "skipped")


def _properties(suites: list[ET.Element]) -> list[ET.Element]:
    return [it for suite in suites for it in suite.iterfind("testcase/properties/property")]
