"""What Skyhold is made of is written down, and whether any of it is vulnerable is asked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[1]
LOCKED = re.compile(r"^([a-z0-9.-]+)==([^\s;\\]+)", re.MULTILINE)
BAD = "jinja2"


def script(name, *arguments):
    command = [sys.executable, ROOT / "scripts" / name, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


# --- the bill of materials ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bill(tmp_path_factory):
    path = tmp_path_factory.mktemp("dist") / "bill.json"
    written = script("sbom.py", str(path))
    assert written.returncode == 0, written.stderr
    return path.read_text(encoding="utf-8")


def test_the_bill_lists_every_locked_package_with_its_version(bill):
    lock = (ROOT / "requirements" / "run.lock").read_text(encoding="utf-8")
    listed = {(one["name"], one["version"]) for one in json.loads(bill)["components"]}
    assert listed == set(LOCKED.findall(lock))
    assert len(listed) > 50
    assert all(one["hashes"] for one in json.loads(bill)["components"])


def test_the_bill_says_what_skyhold_itself_asks_for(bill):
    document = json.loads(bill)
    root, *others = document["dependencies"]
    assert root["ref"] == document["metadata"]["component"]["bom-ref"]
    assert any(ref.startswith("pkg:pypi/fastapi@") for ref in root["dependsOn"])
    assert set(root["dependsOn"]) < {other["ref"] for other in others}


def test_the_bill_is_the_same_everywhere_and_names_no_machine(bill, tmp_path):
    again = tmp_path / "again.json"
    script("sbom.py", str(again))
    assert again.read_text(encoding="utf-8") == bill
    addresses = re.findall(r"https?://[^\"/]+|file:", bill)
    assert set(addresses) <= {"http://cyclonedx.org"}
    assert str(ROOT) not in bill
    assert "timestamp" not in bill
    assert "serialNumber" not in bill


def test_the_bill_is_valid(bill):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None


# --- the audit ------------------------------------------------------------------------------------


@contextmanager
def database(vulnerable):
    """A vulnerability database (OSV) that knows of these packages."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            name = asked["package"]["name"]
            body = json.dumps({"vulns": [hole(name)]} if name in vulnerable else {}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    serving = Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def hole(name):
    events = [{"introduced": "0"}, {"fixed": "999"}]
    package = {"name": name, "ecosystem": "PyPI"}
    return {
        "id": "OSV-1",
        "summary": "A hole",
        "affected": [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
    }


def test_an_audit_of_sound_packages_says_how_many_were_asked_about():
    with database(()) as url:
        audit = script("audit.py", "--osv-url", url)
    assert audit.returncode == 0, audit.stderr
    asked, found = re.fullmatch(
        r"(\d+) packages asked about, (\d+) with known vulnerabilities\n", audit.stdout
    ).groups()
    assert int(asked) > 100
    assert found == "0"


def test_an_audit_names_the_vulnerable_package_and_what_mends_it():
    with database({BAD}) as url:
        audit = script("audit.py", "--osv-url", url)
    assert audit.returncode == 1, audit.stderr
    assert re.search(rf"^{BAD} \S+: OSV-1, fixed in: 999$", audit.stdout, re.MULTILINE)


def test_an_audit_without_its_database_claims_nothing():
    audit = script("audit.py", "--osv-url", "http://127.0.0.1:1/", "--timeout", "1")
    assert audit.returncode == 3
    (line,) = audit.stdout.splitlines()
    assert line.startswith("The vulnerability database could not be asked, so nothing is known")
