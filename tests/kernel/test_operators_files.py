"""The dashboard and the alerts ask for what there is, by its name, its labels and their values."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import ProcessCollector

import skyhold.booking.metrics
import skyhold.flight.metrics  # noqa: F401 - so that what they count is there
from skyhold.booking.services.backlog import KINDS
from skyhold.kernel import backlog
from skyhold.kernel.db_metrics import Transactions
from skyhold.kernel.metrics import BREAKER_STATES, REGISTRY
from skyhold.kernel.observatory import Question

DEPLOY = Path(__file__).parents[2] / "deploy"
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}
PROMETHEUS_OWN = {"job", "instance", "le"}
# What a query may compare these labels with; of the others, what the process itself knows.
VALUES = {
    "kind": {*KINDS, "hold"},
    "status": {"5.."} | {str(status) for statuses in KINDS.values() for status in statuses},
    "route": {"/api/v1/bookings/payments"},
}


def known():
    """Every series by its name, with its labels."""
    asked = [question for question in vars(backlog).values() if isinstance(question, Question)]
    found = {question.name: set(question.labels) for question in asked}
    for metric in REGISTRY._names_to_collectors.values():
        if not isinstance(metric, ProcessCollector):
            [family] = metric.describe()
            for suffix in SUFFIXES[family.type]:
                found[family.name + suffix] = set(metric._labelnames)
    return found | {"up": set()}


def dashboard():
    return json.loads((DEPLOY / "grafana" / "skyhold.json").read_text())


def panels():
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def rules():
    file = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    return [rule for group in file["groups"] for rule in group["rules"]]


QUERIES = {
    f"{panel['id']} {panel['title']} {target['refId']}": target["expr"]
    for panel in panels()
    for target in panel["targets"]
}
ALERTS = {rule["alert"]: rule for rule in rules()}
EXPRESSIONS = QUERIES | {name: rule["expr"] for name, rule in ALERTS.items()}

expressions = pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
alerts = pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)


def selected(expression):
    """The metrics of a query, each with what it asks of their labels."""
    return re.findall(r"\b((?:skyhold_\w+|up))\b(?:\{(.*?)\})?", expression)


def grouped(expression):
    return {
        label.strip()
        for group in re.findall(r"\bby \(([^)]*)\)", expression)
        for label in group.split(",")
    }


@expressions
def test_a_query_asks_for_metrics_that_exist_by_labels_that_they_have(expression):
    series = known()
    names = [name for name, _ in selected(expression)]
    assert names
    for name, matchers in selected(expression):
        assert name in series, name
        asked = {re.split(r"[=!]", matcher)[0] for matcher in filter(None, matchers.split(","))}
        assert asked <= series[name] | PROMETHEUS_OWN, name
    common = set.union(*(series[name] for name in names)) | PROMETHEUS_OWN
    assert grouped(expression) <= common


@expressions
def test_a_query_compares_labels_with_values_that_occur(expression):
    for name, matchers in selected(expression):
        for label, said in re.findall(r'(\w+)[=!]~?"([^"]*)"', matchers):
            if said.startswith(("$", "skyhold-")):
                continue
            assert set(said.split("|")) <= VALUES.get(label, occurring(name, label)), said


def occurring(name, label):
    """The values that a label has in this process from the start."""
    Transactions("a-database")
    return {
        sample.labels[label]
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == name and label in sample.labels
    }


@expressions
def test_rates_are_taken_of_what_only_grows(expression):
    for inside in re.findall(r"(?:rate|increase)\(\s*(\w+)", expression):
        assert inside.endswith(("_total", "_bucket", "_sum", "_count")), inside
    for name, _ in selected(expression):
        if name.endswith(("_total", "_bucket", "_sum", "_count")):
            assert re.search(rf"(?:rate|increase)\(\s*{name}\b", expression), name


def test_every_metric_of_ours_is_on_the_dashboard():
    shown = " ".join(QUERIES.values())
    families = {
        re.sub(r"_(total|bucket|sum|count)$", "", name)
        for name in known()
        if name.startswith("skyhold_")
    }
    assert [name for name in sorted(families) if not re.search(rf"\b{name}", shown)] == []


def test_the_panels_stand_beside_one_another_and_ask_the_chosen_data_source():
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
    taken = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    for panel in panels():
        assert panel["description"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"


@alerts
def test_an_alert_says_what_is_wrong_and_what_to_do(rule):
    assert set(rule["annotations"]) == {"summary", "what_to_do"}
    for sentence in rule["annotations"].values():
        assert sentence.strip().endswith("."), sentence
        assert len(sentence) > 30
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["alert"].startswith("Skyhold")
    # What it calls by name must be left over by its own query.
    named = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    series = known()
    left = grouped(rule["expr"]) or set.union(
        PROMETHEUS_OWN, *(series[name] for name, _ in selected(rule["expr"]))
    )
    assert named <= left


def test_there_is_an_alert_for_everything_that_must_not_go_unnoticed():
    about = " ".join(EXPRESSIONS[name] for name in ALERTS)
    for name in (
        'status=~"5.."',
        "skyhold_http_request_duration_seconds_bucket",
        'skyhold_overdue_rows{kind="booking"}',
        'skyhold_overdue_rows{kind="payment"}',
        "skyhold_outbox_oldest_age_seconds",
        "skyhold_dead_letters",
        f"skyhold_client_breaker_state) == {BREAKER_STATES['opened']}",
        "skyhold_db_pool_timeouts_total",
        "skyhold_job_last_success_timestamp_seconds",
        "skyhold_driver_stuck_total",
        "skyhold_audit_disagreements",
        "skyhold_audits_total",
        "up{",
    ):
        assert name in about, name


def test_who_is_asked_has_the_names_that_the_alerts_know():
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    jobs = {scraped["job_name"] for scraped in config["scrape_configs"]}
    assert all(job.startswith("skyhold-") for job in jobs)
    about = " ".join(rule["expr"] for rule in ALERTS.values())
    assert set(re.findall(r'job="([^"]+)"', about)) <= jobs
    assert config["rule_files"] == ["alerts.yml"]
