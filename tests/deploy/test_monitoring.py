"""What watches Shelver, as it is written: Prometheus' and Grafana's files, and alerts on what has happened."""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.packages import installed

MONITORING = Path("deploy/monitoring")
COMPOSE = yaml.safe_load(Path("deploy/compose/compose.yaml").read_text())
OPERATIONS = Path("docs/operations.md")
RULES = sorted((MONITORING / "rules").glob("*.yml"))
TESTS = sorted(Path("tests/deploy/rules").glob("*.yml"))
BOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
PROVISIONING = MONITORING / "grafana" / "provisioning"
#: of a dashboard
COLUMNS = 24


def promtool(*arguments: object) -> None:
    """Run it; it must find everything as it should be."""
    done = subprocess.run([installed("prometheus", "promtool"), *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def alerts() -> list[dict[str, Any]]:
    """All of them."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that show something."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def test_prometheus_takes_its_files() -> None:
    """Configuration and rules are what Prometheus takes them for, without a doubt about any."""
    promtool("check", "config", "--lint=all", "--lint-fatal", MONITORING / "prometheus.yml")
    promtool("check", "rules", "--lint=all", "--lint-fatal", *RULES)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should(path: Path) -> None:
    """And stay quiet when they should; what they say is as it is read."""
    promtool("test", "rules", path)


def test_each_alert_is_tried_both_ways() -> None:
    """There is a moment at which it fires, and one at which it does not."""
    tests = [test for path in TESTS for test in yaml.safe_load(path.read_text())["tests"]]
    cases = [case for test in tests for case in test.get("alert_rule_test", [])]
    names = {alert["alert"] for alert in alerts()}
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == names
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == names


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_what_is_wrong_and_where_to_read_on(alert: dict[str, Any]) -> None:
    """It waits before it fires, has a severity, and names its chapter in docs/operations.md, which is there."""
    assert alert["for"]
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"{OPERATIONS}#{alert['alert'].lower()}"
    assert re.search(rf"^#+ {alert['alert']}$", OPERATIONS.read_text(), re.MULTILINE)


def test_prometheus_looks_where_services_answer() -> None:
    """At each service of compose that serves metrics, by its name, its port and its path."""
    found = {}
    jobs = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    for job in jobs:
        for each in job.get("dns_sd_configs", []):
            found[job["job_name"]] = (*each["names"], each["port"])
        for each in job.get("static_configs", []):
            host, port = each["targets"][0].split(":")
            found[job["job_name"]] = (host, int(port))
    services = COMPOSE["services"]
    port = int(services["worker"]["environment"]["SHELVER_METRICS_PORT"])
    exporter = int(services["exporter"]["command"][services["exporter"]["command"].index("--port") + 1])
    assert found == {
        **{name: (name, port) for name in ("worker", "producer", "api")},
        "exporter": ("exporter", exporter),
        "serving": ("serving", 8501),
    }
    serving = services["serving-cpu"]
    assert "serving" in serving["networks"]["default"]["aliases"]
    assert "--rest_api_port=8501" in serving["command"]
    path = next(job for job in jobs if job["job_name"] == "serving")["metrics_path"]
    assert f'path: "{path}"' in Path("deploy/serving/monitoring.config").read_text()


def test_prometheus_keeps_what_its_rules_look_back_on() -> None:
    """A promise over 30 days is asked of more than 30 days."""
    (kept,) = re.findall(r"retention\.time=(\d+)d", " ".join(COMPOSE["services"]["prometheus"]["command"]))
    texts = [path.read_text() for path in [*RULES, *BOARDS]]
    assert int(kept) > max(int(days) for text in texts for days in re.findall(r"\[(\d+)d\]", text))


def test_grafana_finds_its_dashboards() -> None:
    """Where compose puts them, with the Prometheus that they ask first."""
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["uid"], source["type"], source["isDefault"]) == ("prometheus", "prometheus", True)
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "shelver.yml").read_text())["providers"]
    volumes = [volume.split(":")[:2] for volume in COMPOSE["services"]["grafana"]["volumes"]]
    assert ["../monitoring/grafana/dashboards", provider["options"]["path"]] in volumes
    assert ["../monitoring/grafana/provisioning", "/etc/grafana/provisioning"] in volumes


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_dashboard_can_be_read(path: Path) -> None:
    """Its panels have a title, a unit, a legend, and a sentence on what to do; none lies upon another."""
    board = json.loads(path.read_text())
    assert board["uid"] == f"shelver-{path.stem}"
    assert board.get("id") is None  # which is a database's, and not that of another
    assert board["templating"]["list"][0]["name"] == "datasource"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels(board):
        assert panel["title"], panel
        assert len(panel["description"]) > 40, panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        assert all(target["legendFormat"] for target in panel["targets"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= COLUMNS for panel in board["panels"])
    assert not any(overlap(one["gridPos"], other["gridPos"]) for one, other in combinations(board["panels"], 2))


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    """Return whether two panels lie upon each other."""
    return all(
        max(one[start], other[start]) < min(one[start] + one[size], other[start] + other[size])
        for start, size in (("x", "w"), ("y", "h"))
    )
