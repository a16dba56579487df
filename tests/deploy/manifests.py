"""What the overlays come to, and the pods in it, for the tests that look at them."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.deploy.kustomize import render

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
BASE = KUBERNETES / "base"
#: where the model server's files come from
SERVING = KUBERNETES.parent / "serving"
OVERLAYS = ("cpu", "gpu")
NAMESPACE = "shelver"
#: of kinds that make pods, the way to the pod's template
TEMPLATES = {"Deployment": ("spec", "template"), "Job": ("spec", "template")}
TEMPLATES["CronJob"] = ("spec", "jobTemplate", "spec", "template")


@dataclass(frozen=True)
class Workload:
    """A Deployment, Job or CronJob, and the pods that it makes."""

    value: dict[str, Any]

    @property
    def kind(self) -> str:
        """Its kind."""
        return self.value["kind"]

    @property
    def name(self) -> str:
        """Its name."""
        return self.value["metadata"]["name"]

    @property
    def template(self) -> dict[str, Any]:
        """Its pods' template."""
        found = self.value
        for step in TEMPLATES[self.kind]:
            found = found[step]
        return found

    @property
    def labels(self) -> dict[str, str]:
        """Its pods' labels."""
        return self.template["metadata"]["labels"]

    @property
    def component(self) -> str:
        """What it is of Shelver."""
        return self.labels["app.kubernetes.io/component"]

    @property
    def annotations(self) -> dict[str, str]:
        """Its pods' annotations."""
        return self.template["metadata"].get("annotations", {})

    @property
    def pod(self) -> dict[str, Any]:
        """Its pods' specification."""
        return self.template["spec"]

    @property
    def container(self) -> dict[str, Any]:
        """The container that is not there to prepare anything."""
        (container,) = self.pod["containers"]
        return container

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All of them."""
        return [*self.pod.get("initContainers", ()), *self.pod["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        """The ports by name."""
        return {each["name"]: each["containerPort"] for each in self.container.get("ports", ())}

    @property
    def variables(self) -> dict[str, dict[str, Any]]:
        """The container's own variables, by name, as they are written."""
        return {each["name"]: each for each in self.container.get("env", ())}


@cache
def objects(overlay: str) -> list[dict[str, Any]]:
    """All objects of an overlay."""
    return render(KUBERNETES / "overlays" / overlay)


def of_kind(overlay: str, kind: str) -> dict[str, dict[str, Any]]:
    """The objects of a kind by name."""
    return {each["metadata"]["name"]: each for each in objects(overlay) if each["kind"] == kind}


def workloads(overlay: str) -> list[Workload]:
    """All that make pods."""
    return [Workload(each) for each in objects(overlay) if each["kind"] in TEMPLATES]


def workload(overlay: str, component: str) -> Workload:
    """The one of a component."""
    (found,) = [each for each in workloads(overlay) if each.component == component]
    return found


def settings_of(overlay: str) -> dict[str, str]:
    """The variables of the config map of settings."""
    (found,) = [value for name, value in of_kind(overlay, "ConfigMap").items() if name.startswith("settings-")]
    return found["data"]


def file_of(overlay: str, path: str) -> str:
    """What the model server's container finds in a file of its config map."""
    serving = workload(overlay, "serving")
    folder, _, name = path.rpartition("/")
    (mount,) = [each for each in serving.container["volumeMounts"] if each["mountPath"] == folder]
    (volume,) = [each for each in serving.pod["volumes"] if each["name"] == mount["name"]]
    return of_kind(overlay, "ConfigMap")[volume["configMap"]["name"]]["data"][name]


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector chooses what has these labels; an empty one chooses all."""
    for each in selector.get("matchExpressions", ()):
        if (labels.get(each["key"]) in each["values"]) != {"In": True, "NotIn": False}[each["operator"]]:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


def examples(name: str) -> dict[str, str]:
    """The variables of an example of a Secret."""
    lines = (BASE / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def secret_settings() -> set[str]:
    """The variables that pods get from shelver-secrets, whose keys for the store end in a role."""
    return {re.sub("(?<=_DATABASE_URL)_[A-Z]+$", "", key) for key in examples("secrets.example.env")}
