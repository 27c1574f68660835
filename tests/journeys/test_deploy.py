"""What deploy/ says, held against the code; and both APIs behind nginx as configured there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import httpx
import pytest
import typer
import yaml
from pydantic import AliasChoices
from test_readme import session

from skyhold import cli
from skyhold.booking.settings import BookingSettings
from skyhold.cli.workers import CLOSES_WITHIN_S
from skyhold.flight.settings import FlightSettings
from skyhold.kernel.errors import Problem
from support import proxy as nginx
from support.fleet import Fleet
from support.proxy import DEPLOY
from support.system import free_port, wait_until_ready

ROOT = DEPLOY.parent
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
ENVIRONMENTS = sorted((DEPLOY / "env").glob("*.env"))
SITES = ("skyhold.conf", "compose.conf")
SKYHOLD = "/opt/skyhold/bin/skyhold "
# Read by others: OpenTelemetry, uvicorn, the check of the container, and compose.yaml itself.
NOT_OURS = {"OTEL_EXPORTER_OTLP_ENDPOINT", "FORWARDED_ALLOW_IPS", "HEALTH_PORT"}
OF_COMPOSE = {"DB_ROOT_PASSWORD", "AMQP_PASSWORD"}
UVICORN_IDLE_S = 5  # timeout_keep_alive, which nobody sets
LOGGED_WITHIN_S = 10.0


def unit(path: Path) -> ConfigParser:
    """A unit file; of a name that stands there more than once, the last one."""
    parser = ConfigParser(strict=False, interpolation=None, delimiters="=", comment_prefixes="#")
    parser.optionxform = str
    parser.read(path)
    return parser


def compose() -> dict:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def ours() -> Iterator[tuple[str, dict]]:
    """The services of compose.yaml that run our program."""
    for name, service in compose()["services"].items():
        if service["image"] == "skyhold":
            yield name, service


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line of ours in deploy/, by where it stands."""
    for path in UNITS:
        line = unit(path)["Service"]["ExecStart"]
        assert line.startswith(SKYHOLD), path.name
        yield path.name, shlex.split(line.replace("%i", "4000").removeprefix(SKYHOLD))
    for name, service in ours():
        yield f"compose.yaml: {name}", service["command"]


COMMANDS = dict(commands())


def names_in(path: Path) -> set[str]:
    """The environment names that a file of settings gives, commented out or not."""
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", path.read_text(), re.MULTILINE))


def settings_of(kind: type[BookingSettings | FlightSettings]) -> set[str]:
    found = set()
    for name, field in kind.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [name]
        found.update(str(choice).upper() for choice in choices)
    return found


BOOKING, FLIGHT = settings_of(BookingSettings), settings_of(FlightSettings)


def value_in(path: Path, name: str) -> float:
    """A number that a file of settings gives."""
    return float(re.search(rf"^{name}=(\S+)$", path.read_text(), re.MULTILINE)[1])


def directive(path: str, name: str) -> str:
    """What nginx is told, in one file."""
    told = re.findall(rf"^ *{name} (.+);$", (DEPLOY / "nginx" / path).read_text(), re.MULTILINE)
    assert len(set(told)) == 1, (path, name, told)
    return told[0]


# --- commands and settings -----------------------------------------------------------------------


@pytest.mark.parametrize("where", COMMANDS)
def test_every_command_and_option_exists(where):
    command, words = typer.main.get_command(cli.app), list(COMMANDS[where])
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)  # what it does not know, it refuses


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_complete(path):
    service = unit(path)["Service"]
    who = "booking" if "booking" in path.name else "flight"
    assert service["ExecStart"].startswith(f"{SKYHOLD}{who} ")
    assert service["User"] == service["Group"] == service["StateDirectory"] == f"skyhold-{who}"
    assert f"u skyhold-{who} " in (DEPLOY / "systemd" / "skyhold.sysusers.conf").read_text()
    environment = Path(service["EnvironmentFile"])
    assert environment.parent == Path("/etc/skyhold")
    assert (DEPLOY / "env" / environment.name).exists()
    for name in ("NoNewPrivileges", "MemoryDenyWriteExecute", "PrivateTmp"):
        assert service[name] == "yes"
    assert service["ProtectSystem"] == "strict"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong_with_a_unit(path, tmp_path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze here")
    copy = tmp_path / path.name.replace("@", "@4000")
    copy.write_text(path.read_text().replace("/opt/skyhold/bin/skyhold", sys.executable))
    done = subprocess.run(
        [analyze, "verify", "--man=no", copy], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", [*ENVIRONMENTS, ROOT / ".env.example"], ids=lambda path: path.name)
def test_every_setting_exists(path):
    names = names_in(path) - NOT_OURS
    assert names
    if path.name.startswith("booking"):
        assert names <= BOOKING
    elif path.name.startswith("flight"):
        assert names <= FLIGHT
    elif path.name == "compose.env":
        assert names <= BOOKING | OF_COMPOSE
    else:
        assert names <= BOOKING | FLIGHT


def test_every_setting_of_compose_exists():
    given = names_in(DEPLOY / "env" / "compose.env")
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert asked == given
    for name, service in ours():
        names = set(service["environment"]) - NOT_OURS
        assert names <= (BOOKING if name.startswith("booking") else FLIGHT), name
        if "--port" in service["command"]:
            port = service["command"][service["command"].index("--port") + 1]
            assert port == service["environment"].get("HEALTH_PORT", "4000"), name


def test_what_the_container_is_made_from_exists():
    copied = re.findall(
        r"^COPY (?!--from)(.+)$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE
    )
    assert copied
    for line in copied:
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source
    mounts = compose()["services"]["nginx"]["volumes"]
    for mount in mounts:
        assert (DEPLOY / mount.split(":")[0]).exists(), mount


# --- times that have to fit together -------------------------------------------------------------


def test_who_is_stopped_has_the_time_it_takes():
    files = (DEPLOY / "env" / f"{service}.env" for service in ("booking", "flight"))
    (lame_duck_s,) = {value_in(path, "LAME_DUCK_S") for path in files}
    takes_s = lame_duck_s + BookingSettings(_env_file=None).drain_s + CLOSES_WITHIN_S
    for path in UNITS:
        service = unit(path)["Service"]
        if service.get("Type") == "oneshot":
            continue
        assert takes_s <= float(service["TimeoutStopSec"]) <= takes_s + 30
        # A second SIGTERM means "at once", and that is what control-group would send to children.
        assert (service["KillMode"], service["KillSignal"]) == ("mixed", "SIGTERM")
    for name, service in ours():
        assert float(service["stop_grace_period"].removesuffix("s")) >= takes_s, name
        assert float(service["environment"]["LAME_DUCK_S"]) == lame_duck_s


@pytest.mark.parametrize("site", SITES)
def test_an_idle_connection_ends_in_the_proxy_first(site):
    idle_s = float(directive(site, "keepalive_timeout").removesuffix("s"))
    lame_duck_s = value_in(DEPLOY / "env" / "booking.env", "LAME_DUCK_S")
    assert idle_s < min(UVICORN_IDLE_S, lame_duck_s)


def test_the_proxy_is_as_patient_as_the_services():
    settings = BookingSettings(_env_file=None)
    read_s = float(directive("skyhold/proxy.conf", "proxy_read_timeout").removesuffix("s"))
    assert settings.pay_max_s < read_s <= settings.drain_s
    again_s = float(
        directive("skyhold/proxy.conf", "proxy_next_upstream_timeout").removesuffix("s")
    )
    assert again_s < read_s
    size = directive("skyhold/routes.conf", "client_max_body_size")
    assert int(size.removesuffix("k")) * 1024 == settings.body_bytes_max
    inside_s = {float(directive(site, "proxy_read_timeout").removesuffix("s")) for site in SITES}
    assert min(inside_s) > settings.flight_timeout_s


def test_only_harmless_requests_are_repeated():
    assert directive("skyhold/proxy.conf", "proxy_next_upstream") == "error timeout"


# --- nginx ---------------------------------------------------------------------------------------


def test_nginx_takes_both_configurations(tmp_path):
    (tmp_path / "site").mkdir()
    nginx.make_certificate(tmp_path / "site" / "tls")
    others = nginx.others(tmp_path / "site", {}, free_port(), free_port())
    assert nginx.complaints(nginx.lay_out(tmp_path / "site", "skyhold.conf", others)) == ""

    (tmp_path / "compose").mkdir()
    here = {"booking:4000": "127.0.0.1:4000", "flight:3000": "127.0.0.1:3000"}
    here["/dev/stdout"] = str(tmp_path / "log")
    assert nginx.complaints(nginx.lay_out(tmp_path / "compose", "compose.conf", here)) == ""


@pytest.fixture(scope="module")
def origin(tmp_path_factory, template) -> Iterator[nginx.Proxy]:
    """Both services, one instance of each up and one down, behind nginx."""
    nginx.nginx()
    folder = tmp_path_factory.mktemp("origin")
    shutil.copytree(template, folder / "data")
    environment = os.environ | {"DATA_DIR": str(folder / "data")}
    skyhold = Path(sys.executable).with_name("skyhold")
    subprocess.run(
        [skyhold, "flight", "import", "--demo"],
        env=environment,
        cwd=folder,
        check=True,
        capture_output=True,
    )
    flight, booking, inside = free_port(), free_port(), free_port()
    way = f"http://127.0.0.1:{inside}"
    instances = {3000: flight, 3010: free_port(), 4000: booking, 4010: free_port()}
    with (
        Fleet(folder / "data", flight_service=way, booking_service=way) as fleet,
        nginx.proxy(folder / "nginx", instances, inside=inside) as running,
    ):
        for name, port in (("flight", flight), ("booking", booking)):
            wait_until_ready(fleet.start(name, "serve", port=port))
        yield running


@pytest.fixture
def http(origin) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=origin.url, verify=origin.trust(), timeout=30) as client:
        yield client


def comes_to_be_logged(origin: nginx.Proxy, line: str) -> bool:
    """nginx writes of a request once its answer is out; on a busy machine we may be sooner."""
    give_up_at = time.monotonic() + LOGGED_WITHIN_S
    while not re.search(line, origin.log):
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.02)
    return True


def test_the_session_of_the_readme_runs_on_one_origin(origin, tmp_path):
    commands = session().replace("http://localhost:4000", origin.url)
    pasted = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", commands.replace("| head -40", "| sed -n 1,40p")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"CURL_CA_BUNDLE": str(origin.certificate)},
        timeout=60,
        check=False,
    )
    assert (pasted.returncode, pasted.stderr) == (0, "")
    assert "\nconfirmed\n" in pasted.stdout
    assert '{"status": "succeeded"' in pasted.stdout
    # Half of it was sent to an instance that is down first.
    assert comes_to_be_logged(origin, r'"tried": "[^"]+, [^"]+", "answers": "502, 20')


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/holds/0198c0de-0000-7000-8000-000000000001",
        "/api/v1//holds/x",
        "/api/v1/holds/../holds/x",
        "/api/v1/flights/..%2fholds/x",
        "/api/v1/flights/%2e%2e/holds/x",
        "/api/v1/bookings/../holds/x",
        "/API/V1/HOLDS/x",
        "/metrics",
        "/livez",
        "/readyz",
        "/flight/metrics",
        "/flight/api/v1/holds/x",
    ],
)
def test_what_is_not_public_is_not_there(http, path):
    # Sent as it is written: the client would resolve the dots.
    reply = http.send(http.build_request("GET", http.base_url.copy_with(raw_path=path.encode())))
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.json()["code"], reply.json()["instance"]) == (
        "not_found",
        reply.headers["x-request-id"],
    )


def test_every_problem_is_explained_where_its_type_points(http):
    ours = {code for code, kind in Problem.catalogue().items() if "skyhold" in kind.__module__}
    for code in ours:  # not those that other tests have made up
        assert http.get(f"/problems/{code}").json()["code"] == code


def test_there_are_two_documents(http):
    for path, title in (("", "booking"), ("/flight", "flight")):
        assert (
            http.get(f"{path}/openapi.json").json()["info"]["title"] == f"Skyhold {title} service"
        )
        page = http.get(f"{path}/docs").text
        assert f'data-document="{path}/openapi.json"' in page
        files = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert len(files) == 4
        for file in files:
            assert file.startswith("/"), file
            assert http.get(file).status_code == 200


def test_a_request_keeps_its_id(http, origin):
    nowhere = "/api/v1/flights/XX1-2026-12-01-JFK"
    reply = http.get(nowhere, headers={"x-request-id": "our-trip.7"})
    assert reply.status_code == 404
    assert reply.headers["x-request-id"] == reply.json()["instance"] == "our-trip.7"
    assert comes_to_be_logged(origin, r'"request_id": "our-trip\.7"')
    for nonsense in ("a b", "x" * 65):
        given = http.get("/api/v1/flights/none", headers={"x-request-id": nonsense})
        assert re.fullmatch(r"[0-9a-f]{32}", given.headers["x-request-id"])


def test_a_body_that_is_too_large_is_refused_like_one_of_ours(http):
    reply = http.post("/api/v1/users/login", content=b" " * 65_537)
    assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")
    assert (
        http.post("/api/v1/users/login", content=b" " * 65_536).json()["code"] != "body_too_large"
    )


def test_passwords_cannot_be_tried_by_the_hundred(http):
    wrong = {"email": "nobody@example.com", "password": "wrong horse battery"}
    replies = [http.post("/api/v1/users/login", json=wrong) for _ in range(40)]
    codes = {reply.json()["code"] for reply in replies}
    assert codes == {"login_failed", "too_many_requests"}
    assert {reply.headers["retry-after"] for reply in replies if reply.status_code == 429} == {"1"}


def test_when_nobody_is_there_it_is_said_like_one_of_ours(tmp_path):
    nobody = {port: free_port() for port in (3000, 3010, 4000, 4010)}
    with (
        nginx.proxy(tmp_path / "nginx", nobody, inside=free_port()) as running,
        httpx.Client(base_url=running.url, verify=running.trust(), timeout=30) as http,
    ):
        for reply in (http.get("/api/v1/flights"), http.post("/api/v1/bookings", json={})):
            assert (reply.status_code, reply.json()["code"]) == (503, "unavailable")
            assert reply.headers["retry-after"] == "1"
