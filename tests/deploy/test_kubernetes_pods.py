"""The pods of both overlays: what they may do, what they get, how long they have, and how many there are."""

import re

import pytest

from tests.deploy.manifests import OVERLAYS, Workload, of_kind, settings_of, workload, workloads
from worker.contract.settings import Settings, load

#: Kubernetes' own Pod Security Standard "restricted" allows these
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
#: of whatever stands beside the workers' children
SPARE_MEGABYTES = 512
LIVE_SECONDS = 10
MEBIBYTES = {"Mi": 1, "Gi": 1024}
every = pytest.mark.parametrize(
    ("overlay", "each"),
    [(overlay, each) for overlay in OVERLAYS for each in workloads(overlay)],
    ids=lambda value: value.name if isinstance(value, Workload) else value,
)
both = pytest.mark.parametrize("overlay", OVERLAYS)


@pytest.fixture
def settings(overlay: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The workers' settings; addresses with passwords are left at their defaults."""
    for name, value in settings_of(overlay).items():
        monkeypatch.setenv(name, value)
    return load()


@every
def test_pods_are_restricted(overlay: str, each: Workload) -> None:
    """Every pod passes Pod Security's strictest standard, on a file system that it cannot write to."""
    pod = each.pod
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} <= VOLUMES
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in each.containers:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not any("hostPort" in port for port in container.get("ports", ()))


def test_the_namespace_asks_for_that() -> None:
    """A pod that is not restricted would be refused."""
    labels = of_kind("cpu", "Namespace")["shelver"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@every
def test_pods_know_nothing_of_the_cluster(overlay: str, each: Workload) -> None:
    """They get no token; nor variables of Services, among which one SHELVER_… would stop every process."""
    assert each.pod["automountServiceAccountToken"] is False
    assert each.pod["enableServiceLinks"] is False
    assert of_kind(overlay, "ServiceAccount")["shelver"]["automountServiceAccountToken"] is False


@every
def test_each_container_has_room_of_its_own(overlay: str, each: Workload) -> None:
    """What it needs at least and gets at most, for processor and memory; /tmp is writable and has a limit."""
    for container in each.containers:
        for kind in ("requests", "limits"):
            assert {"cpu", "memory"} <= set(container["resources"][kind]), container["name"]
    assert {"name": "tmp", "mountPath": "/tmp"} in each.container["volumeMounts"]  # noqa: S108
    (scratch,) = [volume["emptyDir"] for volume in each.pod["volumes"] if volume["name"] == "tmp"]
    assert megabytes(scratch["sizeLimit"])


@both
def test_workers_have_the_time_and_room_of_their_settings(overlay: str, settings: Settings) -> None:
    """Nobody kills a worker before its pages are done or returned, or its children before they are replaced."""
    worker = workload(overlay, "worker")
    limit_seconds = settings.page_time_limit_seconds + settings.shutdown_seconds
    assert worker.pod["terminationGracePeriodSeconds"] > limit_seconds
    limit = megabytes(worker.container["resources"]["limits"]["memory"])
    assert limit >= children(worker) * settings.child_memory_megabytes + SPARE_MEGABYTES


@both
def test_the_api_has_time_for_its_requests(overlay: str, settings: Settings) -> None:
    """The pause before its end, and then what the settings give it."""
    api = workload(overlay, "api")
    pause_seconds = int(api.container["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert api.pod["terminationGracePeriodSeconds"] > pause_seconds + settings.shutdown_seconds


@both
def test_probes_are_given_their_time(overlay: str, settings: Settings) -> None:
    """What docs/reliability.md asks for; and no probe of the workers costs more than a fiftieth of a core."""
    container = workload(overlay, "worker").container
    live, ready = container["livenessProbe"], container["readinessProbe"]
    assert live["exec"]["command"] == ["shelver-worker", "live"] == container["startupProbe"]["exec"]["command"]
    assert ready["exec"]["command"] == ["shelver-worker", "ready"]
    assert min(live["timeoutSeconds"], container["startupProbe"]["timeoutSeconds"]) >= LIVE_SECONDS
    assert ready["timeoutSeconds"] >= settings.connect_timeout_seconds + 2
    assert live["periodSeconds"] >= 30
    assert ready["periodSeconds"] >= 60


@every
def test_probes_ask_ports_that_are_open(overlay: str, each: Workload) -> None:
    """By name; and what runs for long has both kinds, but for the trainer's shell."""
    if each.kind != "Deployment" or each.component == "trainer":
        return
    for kind in ("readinessProbe", "livenessProbe"):
        probe = each.container[kind]
        asked = probe.get("httpGet") or probe.get("tcpSocket")
        assert "exec" in probe or asked["port"] in each.ports, kind


@both
def test_budgets_let_machines_be_drained(overlay: str) -> None:
    """A budget always allows one pod less, keeps one, and is not held up by pods that wait for a server."""
    fewest = {each.name: each.value["spec"].get("replicas") for each in workloads(overlay) if each.kind == "Deployment"}
    fewest["worker"] = of_kind(overlay, "ScaledObject")["worker"]["spec"]["minReplicaCount"]
    budgets = of_kind(overlay, "PodDisruptionBudget")
    for name, budget in budgets.items():
        assert 0 < budget["spec"]["maxUnavailable"] < fewest[name], name
        assert "minAvailable" not in budget["spec"]
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert set(budgets) == {name for name, count in fewest.items() if count > 1}


@both
def test_keda_alone_says_how_many_workers_there_are(overlay: str) -> None:
    """Applying the manifests changes no number of workers; what is fallen back to is within the bounds."""
    assert "replicas" not in workload(overlay, "worker").value["spec"]
    spec = of_kind(overlay, "ScaledObject")["worker"]["spec"]
    assert 0 < spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]


@both
def test_a_worker_is_asked_for_before_all_children_are_busy(overlay: str) -> None:
    """Pages a worker, those in hand included, stay below what it can have in hand."""
    (trigger,) = of_kind(overlay, "ScaledObject")["worker"]["spec"]["triggers"]
    assert 0 < float(trigger["metadata"]["threshold"]) < children(workload(overlay, "worker"))
    assert trigger["metadata"]["ignoreNullValues"] == "false"


@both
def test_nightly_work_never_meets_itself(overlay: str) -> None:
    """A run that takes long is not joined by the next, ends at a deadline, and one that was missed is not forgotten.

    But a restore comes on no night.
    """
    for name, each in of_kind(overlay, "CronJob").items():
        assert each["spec"]["concurrencyPolicy"] == "Forbid", name
        assert each["spec"]["startingDeadlineSeconds"] >= 600, name
        assert each["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 24 * 3600, name
        assert each["spec"]["timeZone"] == "Etc/UTC", name
        assert each["spec"].get("suspend", False) is (name == "restore"), name


def test_the_gpu_overlay_asks_for_gpus() -> None:
    """One each, on machines that have some and keep others away; the other overlay asks for none."""
    serving = workload("gpu", "serving")
    assert serving.container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert serving.pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert serving.pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert serving.value["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0
    assert "nvidia.com/gpu" not in str(workload("cpu", "serving").value)


def children(worker: Workload) -> int:
    """How many a worker has."""
    arguments = worker.container["args"]
    return int(arguments[arguments.index("--concurrency") + 1])


def megabytes(quantity: str) -> int:
    """What Kubernetes means by 2Gi and the like."""
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()
    return int(number) * MEBIBYTES[unit]
