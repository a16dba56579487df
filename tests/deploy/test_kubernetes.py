"""The manifests of both overlays: what a cluster would take, whose parts refer to parts that are there."""

import re
from importlib.metadata import version

import jsonschema
import kubernetes_validate
import pytest

from tests.deploy.kustomize import within
from tests.deploy.manifests import (
    KUBERNETES,
    NAMESPACE,
    OVERLAYS,
    examples,
    matches,
    objects,
    of_kind,
    secret_settings,
    workloads,
)
from tests.deploy.scaled_object import SCALED_OBJECT
from worker.contract.settings import Settings

#: the oldest that is still kept up by some provider, and the newest that the validator knows
KUBERNETES_VERSIONS = ("1.32", "1.37")
SECRETS = {"shelver-secrets": "secrets.example.env"}
SECRETS |= dict.fromkeys(("shelver-backup", "shelver-restore"), "backup.example.env")
both = pytest.mark.parametrize("overlay", OVERLAYS)


@pytest.mark.parametrize("kubernetes", KUBERNETES_VERSIONS)
def test_kubernetes_knows_every_field(kubernetes: str) -> None:
    """Each object is valid by the API's own schema, without a field that it would not know."""
    seen = []
    for each in (each for overlay in OVERLAYS for each in objects(overlay)):
        if each["kind"] != "ScaledObject" and each not in seen:
            seen.append(each)
            kubernetes_validate.validate(each, kubernetes, strict=True)


@both
def test_keda_knows_every_field(overlay: str) -> None:
    """The ScaledObject is one, and its target is there."""
    (found,) = of_kind(overlay, "ScaledObject").values()
    jsonschema.validate(found, SCALED_OBJECT)
    assert found["spec"]["scaleTargetRef"]["name"] in of_kind(overlay, "Deployment")


@both
def test_each_name_is_given_once_and_in_one_namespace(overlay: str) -> None:
    """No object overwrites another; all but the namespace itself are in it."""
    names = [(each["kind"], each["metadata"]["name"]) for each in objects(overlay)]
    assert len(names) == len(set(names))
    spaces = {each["metadata"].get("namespace") for each in objects(overlay) if each["kind"] != "Namespace"}
    assert spaces == {NAMESPACE} == set(of_kind(overlay, "Namespace"))


@both
def test_selectors_choose_the_pods_that_they_mean(overlay: str) -> None:
    """Deployments own their pods; a Service, a budget and a rule of spreading are each about one workload's pods."""
    found = workloads(overlay)
    for each in found:
        if each.kind == "Deployment":
            assert [other.name for other in found if matches(each.value["spec"]["selector"], other.labels)] == [
                each.name
            ]
        for spread in each.pod.get("topologySpreadConstraints", ()):
            assert matches(spread["labelSelector"], each.labels)
    for kind in ("Service", "PodDisruptionBudget"):
        for name, each in of_kind(overlay, kind).items():
            selector = each["spec"]["selector"]
            selector = {"matchLabels": selector} if kind == "Service" else selector
            assert [other.name for other in found if matches(selector, other.labels)] == [name], f"{kind} {name}"


@both
def test_services_lead_to_ports_that_are_open(overlay: str) -> None:
    """Each port has a container's behind it, and the model server's name stands for all replicas."""
    ports = {each.name: each.ports for each in workloads(overlay)}
    for name, service in of_kind(overlay, "Service").items():
        assert {each["targetPort"] for each in service["spec"]["ports"]} <= set(ports[name]), name
    serving = of_kind(overlay, "Service")["serving"]["spec"]
    assert serving["clusterIP"] == "None"
    assert serving["ports"][0]["port"] == ports["serving"]["grpc"]  # a headless Service translates no port


@both
def test_what_pods_refer_to_is_there(overlay: str) -> None:
    """Config maps, claims and the service account are among the objects; Secrets and their keys among the examples."""
    secrets = {name: set(examples(file)) for name, file in SECRETS.items()}
    for each in workloads(overlay):
        assert each.pod["serviceAccountName"] in of_kind(overlay, "ServiceAccount")
        mounted = {mount["name"] for container in each.containers for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in each.pod["volumes"]}, each.name
        for part in within(each.pod):
            if "configMapRef" in part:
                assert part["configMapRef"]["name"] in of_kind(overlay, "ConfigMap")
            if "configMap" in part:
                assert part["configMap"]["name"] in of_kind(overlay, "ConfigMap")
            if "persistentVolumeClaim" in part:
                assert part["persistentVolumeClaim"]["claimName"] in of_kind(overlay, "PersistentVolumeClaim")
            if "secretRef" in part:
                assert part["secretRef"]["name"] in secrets
            if "secretKeyRef" in part:
                assert part["secretKeyRef"]["key"] in secrets[part["secretKeyRef"]["name"]]
            if "secret" in part:
                assert part["secret"] == {"secretName": "shelver-tls", "defaultMode": 0o440, "optional": True}


@both
def test_images_are_pinned(overlay: str) -> None:
    """Shelver's are of this version, the model server is of the API's that we build with, and none is the latest."""
    images = {container["image"] for each in workloads(overlay) for container in each.containers}
    tags = dict(each.rsplit(":", 1) for each in images)
    assert set(tags) == {
        *("shelver/service", "shelver/trainer", "shelver/console"),
        *("tensorflow/serving", "postgres"),
    }
    assert "latest" not in "".join(tags.values())
    assert {tag for name, tag in tags.items() if name.startswith("shelver/")} == {version("shelver")}
    assert tags["tensorflow/serving"] == version("tensorflow-serving-api") + ("-gpu" if overlay == "gpu" else "")


@both
def test_each_version_migrates_by_a_job_of_its_own(overlay: str) -> None:
    """A Job cannot be changed: its name tells the version, and it names no map, whose own name any setting changes."""
    ((name, job),) = of_kind(overlay, "Job").items()
    assert name == f"migrate-{version('shelver').replace('.', '-')}"
    assert not [part for part in within(job) if {"configMap", "configMapRef", "configMapKeyRef"} & set(part)]


def test_an_upgrade_stops_whatever_uses_the_store() -> None:
    """docs/operations.md waits for every Deployment that reaches it to be gone first, but for the trainer's shell."""
    page = (KUBERNETES.parents[1] / "docs" / "operations.md").read_text(encoding="utf-8")
    (scaled,) = re.findall(r"scale deploy ([\w ]+) --replicas=0", page)
    (awaited,) = re.findall(r"wait --for=delete pod -l '\S+ in \(([\w,]+)\)'", page)
    deployments = [each for each in workloads("cpu") if each.kind == "Deployment"]
    users = {each.name for each in deployments if "reaches/postgresql" in each.labels} - {"trainer"}
    assert users == {*scaled.split(), "worker"} == set(awaited.split(","))


def test_no_secret_is_written_down() -> None:
    """The examples of Secrets are empty, none is an object, and no variable that may hold one has a value here."""
    for file in SECRETS.values():
        assert not any(examples(file).values()), file
    hidden = {f"SHELVER_{name.upper()}" for name, field in Settings.model_fields.items() if not field.repr}
    assert hidden == secret_settings()
    for overlay in OVERLAYS:
        assert not of_kind(overlay, "Secret")
        for each in workloads(overlay):
            assert not [name for name, value in each.variables.items() if name in hidden and "value" in value]
        for data in (each["data"] for each in of_kind(overlay, "ConfigMap").values()):
            assert not hidden & set(data)
