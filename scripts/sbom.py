"""Writes the software bill of materials: dist/skyhold.cdx.json (CycloneDX), of what is installed.

.venv/bin/python scripts/sbom.py [FILE]

It follows from requirements/run.lock and pyproject.toml alone, so it is the same on every machine
and names none of them: no path, and no host that packages came from. A package's hashes are those
of its published files, one of which is installed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DEFAULT = ROOT / "dist" / "skyhold.cdx.json"
COMMAND = (
    Path(sys.executable).with_name("cyclonedx-py"),
    "requirements",
    "requirements/run.lock",
    "--pyproject=pyproject.toml",
    "--output-reproducible",
    "--short-PURLs",
)


def bill() -> str:
    """The document."""
    done = subprocess.run(COMMAND, cwd=ROOT, check=True, capture_output=True, text=True)
    document = json.loads(done.stdout)
    for tool in document["metadata"]["tools"]["components"]:
        tool.pop("externalReferences", None)
    root = document["metadata"]["component"]["bom-ref"]
    document["components"] = [_component(found) for found in document["components"]]
    refs = {found["name"]: found["bom-ref"] for found in document["components"]}
    direct = {refs[name] for name in _asked_for() if name in refs}
    document["dependencies"] = [{"ref": root, "dependsOn": sorted(direct)}] + [
        {"ref": ref} for ref in sorted(refs.values())
    ]
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _component(found: dict[str, Any]) -> dict[str, Any]:
    files = [hash_ for place in found["externalReferences"] for hash_ in place.get("hashes", ())]
    return {
        "bom-ref": found["purl"],
        "hashes": files,
        "name": found["name"],
        "purl": found["purl"],
        "type": found["type"],
        "version": found["version"],
    }


def _asked_for() -> list[str]:
    """The names that pyproject.toml asks for, as the lock writes them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.match(r"[\w.-]+", wanted).group() for wanted in project["dependencies"]]
    return [re.sub(r"[-_.]+", "-", name).lower() for name in names]


def main() -> int:
    """Write it, and say where."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(bill(), encoding="utf-8")
    print(f"{path.name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
