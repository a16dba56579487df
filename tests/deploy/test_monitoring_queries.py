"""Every query of the dashboards and of the rules, asked of a real Prometheus that scrapes real metrics."""

import json
import re
import uuid
from collections.abc import Iterator

import pytest
import yaml

from tests.deploy.watched import MONITORING, Prometheus, watched
from tests.integration.conftest import register
from trainer.run import Run
from trainer.serve.server import ModelServer
from worker import schema
from worker.contract.settings import Settings

#: TensorFlow Serving's own, which only the real one has
FOREIGN = ":tensorflow:"
#: a metric of ours or what a rule makes of one, with the labels that choose from it
SELECTOR = re.compile(r"(?:\w+:)?shelver[\w:]*(?:\{[^}]*\})?")
#: what Grafana puts into a query
GRAFANA = {"$__rate_interval": "1m"}


def queries() -> Iterator[tuple[str, str, str]]:
    """Where it is, the query, and its legend, of each query of the dashboards."""
    for path in sorted((MONITORING / "grafana" / "dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        values = GRAFANA | {f"${each['name']}": ".*" for each in board["templating"]["list"]}
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                query = target["expr"]
                for name, value in values.items():
                    query = query.replace(name, value)
                yield f"{path.stem}-{panel['id']}{target['refId']}", query, target["legendFormat"]


def rules() -> Iterator[tuple[str, str]]:
    """The name and the query of each rule."""
    for path in sorted((MONITORING / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield rule.get("record") or rule["alert"], rule["expr"]


@pytest.fixture(scope="module")
def prometheus(
    mongo_url: str, redis_url: str, model_server: ModelServer, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus that has watched for some seconds."""
    folder = tmp_path_factory.mktemp("watched")
    settings = Settings(
        mongo_url=mongo_url,
        mongo_database=f"test_{uuid.uuid4().hex}",
        redis_url=redis_url,
        database_url=f"sqlite:///{folder / 'store.db'}",
        serving_address=model_server.address,
    )
    schema.migrate(settings)
    register(run, settings)
    with watched(settings, folder) as found:
        yield found


def test_each_query_of_the_dashboards_finds_something(prometheus: Prometheus) -> None:
    """And its legend names labels that are there. Those of TensorFlow Serving's own metrics are queries, at least."""
    for place, query, legend in queries():
        found = prometheus.ask(query)
        if FOREIGN not in query:
            assert prometheus.finds(query), (place, query)
            for series in found:
                assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= set(series["metric"]), (place, legend)


def test_each_rule_finds_what_it_is_about(prometheus: Prometheus) -> None:
    """What it records is there; and where nothing is wrong, what an alert chooses from is there all the same."""
    for name, query in rules():
        prometheus.ask(query)
        assert ":" not in name or prometheus.finds(name), name
        selectors = SELECTOR.findall(query)
        assert selectors, query
        for selector in selectors:
            assert prometheus.finds(selector), (name, selector)


def test_each_variable_has_values(prometheus: Prometheus) -> None:
    """The lists at the top of the dashboards are of labels that are there."""
    for path in (MONITORING / "grafana" / "dashboards").glob("*.json"):
        for variable in json.loads(path.read_text())["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
                assert all(label in series["metric"] for series in prometheus.ask(metric)), variable["name"]
                assert prometheus.finds(metric), variable["name"]
