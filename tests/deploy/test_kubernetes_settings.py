"""Variables, and the model server's files and flags: the same in the manifests, the settings and the exported model."""

import re

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tests.deploy.manifests import (
    BASE,
    KUBERNETES,
    OVERLAYS,
    SERVING,
    file_of,
    of_kind,
    secret_settings,
    settings_of,
    workload,
    workloads,
)
from worker.contract.settings import PREFIX, Settings, load, variable

both = pytest.mark.parametrize("overlay", OVERLAYS)
KNOWN = {variable(name) for name in Settings.model_fields}
METRICS = "/monitoring/prometheus/metrics"
#: as whom each works on the store, by docs/operations.md; dump and restore have their own Secrets
ROLES = {
    **{"migrate": "owner", "worker": "worker", "prune": "worker", "exporter": "reader"},
    **dict.fromkeys(("watch", "api", "reconcile"), "producer"),
    **{"console": "console", "trainer": "trainer"},
}


@both
def test_each_variable_is_a_setting(overlay: str) -> None:
    """A pod with one that is none would not start."""
    named = {name for each in workloads(overlay) for name in each.variables}
    assert {name for name in named | set(settings_of(overlay)) if name.startswith(PREFIX)} <= KNOWN
    assert all(name.startswith(PREFIX) for name in settings_of(overlay))


def test_each_setting_is_a_variable() -> None:
    """It is set for all, comes from the Secret, or stands in settings.env as left at its default, which is told."""
    defaults = dict(re.findall(r"^# (SHELVER_\w+)=(.*)$", (BASE / "settings.env").read_text(), re.MULTILINE))
    sets = set(settings_of("cpu")), secret_settings(), set(defaults)
    assert set().union(*sets) == KNOWN
    assert sum(map(len, sets)) == len(KNOWN)
    for name, told in defaults.items():
        assert told == str(Settings.model_fields[name.removeprefix(PREFIX).lower()].default), name


@both
def test_the_settings_load(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With URLs as the example of the Secret describes them, nothing is left to mend, and one is not the default."""
    secrets = {
        "SHELVER_MONGO_URL": "mongodb://shelver:p@mongo.example/?replicaSet=rs0&tls=true",
        "SHELVER_REDIS_URL": "rediss://shelver:p@redis.example:6379/0",
        "SHELVER_DATABASE_URL": "postgresql://shelver:p@postgres.example/shelver?sslmode=verify-full",
        "SHELVER_API_TOKEN": "0" * 64,
        "SHELVER_CONSOLE_PASSWORD": "12345678",
    }
    assert set(secrets) == secret_settings()
    for name, value in (settings_of(overlay) | secrets).items():
        monkeypatch.setenv(name, value)
    settings = load()
    host, _, port = settings.serving_address.rpartition(":")
    assert of_kind(overlay, "Service")[host]["spec"]["ports"][0]["port"] == int(port)
    for component in ("worker", "watch", "api"):
        assert workload(overlay, component).ports["metrics"] == settings.metrics_port


@both
def test_ports_are_told_alike(overlay: str) -> None:
    """What is named to a process as a port is a container's, and Prometheus is sent to one that is open."""
    for each in workloads(overlay):
        arguments = each.container.get("args", [])
        if "--port" in arguments:
            assert int(arguments[arguments.index("--port") + 1]) in each.ports.values(), each.name
            assert arguments[arguments.index("--host") + 1] == "0.0.0.0", each.name  # noqa: S104
        if "prometheus.io/scrape" in each.annotations:
            assert int(each.annotations["prometheus.io/port"]) in each.ports.values(), each.name


@both
def test_secrets_go_to_those_who_use_them(overlay: str) -> None:
    """Each pod is given the addresses that it asks, and the network lets it ask those and no others."""
    servers = {"mongodb": "SHELVER_MONGO_URL", "redis": "SHELVER_REDIS_URL", "postgresql": "SHELVER_DATABASE_URL"}
    for each in workloads(overlay):
        given = {server for server, name in servers.items() if name in each.variables}
        given |= {"postgresql"} if each.component in ("backup", "restore") else set()
        assert {name.removeprefix("reaches/") for name in each.labels if name.startswith("reaches/")} - {
            "serving"
        } == given, each.name
    token = {each.component for each in workloads(overlay) if "SHELVER_API_TOKEN" in each.variables}
    password = {each.component for each in workloads(overlay) if "SHELVER_CONSOLE_PASSWORD" in each.variables}
    assert (token, password) == ({"api"}, {"console"})


@both
def test_each_works_on_the_store_as_its_role(overlay: str) -> None:
    """It is given that role's URL and no other's; what the role may do is granted, but to the owner."""
    given = {
        each.component: variable["valueFrom"]["secretKeyRef"]["key"].removeprefix("SHELVER_DATABASE_URL_").lower()
        for each in workloads(overlay)
        for name, variable in each.variables.items()
        if name == "SHELVER_DATABASE_URL"
    }
    assert given == ROLES
    granted = (KUBERNETES.parent / "grants" / "postgresql.sql").read_text()
    assert set(re.findall(r"\bshelver_(\w+)", granted)) == set(ROLES.values()) - {"owner"}


@both
def test_the_model_server_gets_its_files(overlay: str) -> None:
    """Its flags name what the config map holds: the very files of deploy/serving, which are tested beside it."""
    flags = dict(each.removeprefix("--").partition("=")[::2] for each in workload(overlay, "serving").container["args"])
    for flag, name in (
        ("batching_parameters_file", "batching.config"),
        ("monitoring_config_file", "monitoring.config"),
    ):
        assert flags[flag].endswith(f"/{name}")
        assert file_of(overlay, flags[flag]) == (SERVING / name).read_text()
    assert (flags["port"], flags["rest_api_port"]) == ("8500", "8501")
    assert {"8500", "8501"} == {str(port) for port in workload(overlay, "serving").ports.values()}
    assert {"enable_batching", "allow_version_labels_for_unavailable_models"} <= set(flags)


@both
def test_the_model_server_is_asked_where_it_answers(overlay: str) -> None:
    """Probes and Prometheus use the path of its monitoring.config, on the REST port."""
    serving = workload(overlay, "serving")
    assert f'path: "{METRICS}"' in file_of(overlay, "/etc/serving/monitoring.config")
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert serving.container[kind]["httpGet"] == {"path": METRICS, "port": "rest"}
    assert serving.annotations["prometheus.io/path"] == METRICS
    assert serving.annotations["prometheus.io/port"] == str(serving.ports["rest"])


@both
def test_the_first_model_config_serves_nothing(overlay: str) -> None:
    """TensorFlow Serving waits for every model that it names, and there is none yet."""
    config = text_format.Parse(file_of(overlay, "/etc/serving/models.config"), ModelServerConfig())
    assert config.WhichOneof("config") == "model_config_list"
    assert not config.model_config_list.config


@both
def test_threads_follow_the_limit(overlay: str) -> None:
    """TensorFlow is told how many cores it may use, not how many the machine has."""
    container = workload(overlay, "serving").container
    (cores,) = [each for each in container["env"] if each["name"] == "CPUS"]
    assert cores["valueFrom"]["resourceFieldRef"] == {"containerName": "serving", "resource": "limits.cpu"}
    assert {
        "--tensorflow_intra_op_parallelism=$(CPUS)",
        "--tensorflow_inter_op_parallelism=$(CPUS)",
    } <= set(container["args"])
