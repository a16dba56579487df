"""What is served at one moment, and how a request finds its model."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import grpc
from tensorflow_serving.apis import model_pb2

from trainer.serve.errors import StatusError
from trainer.serve.predict import LoadedModel
from trainer.serve.versions import Version

#: the versions of one model by number; those that ended stay listed, as in TensorFlow Serving
Versions = Mapping[int, Version]
#: model name to label to version number
Labels = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Snapshot:
    """All models and labels; never changed, but replaced whole, so that a request needs no lock."""

    models: Mapping[str, Versions] = field(default_factory=dict)
    labels: Labels = field(default_factory=dict)

    def find(self, spec: model_pb2.ModelSpec) -> LoadedModel:
        """Return the version a request names by number or label, or the newest one served.

        Raises StatusError NOT_FOUND when it is not served, INVALID_ARGUMENT when the label is not known.
        """
        if not spec.name:
            raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, "ModelSpec has no name specified.")
        number = self._number(spec)
        models = [version.model for version in self.models.get(spec.name, {}).values() if version.model]
        fitting = [model for model in models if number is None or model.version == number]
        if not fitting:
            wanted = f"Latest({spec.name})" if number is None else f"Specific({spec.name}, {number})"
            raise StatusError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
        return max(fitting, key=lambda model: model.version)

    def status(self, spec: model_pb2.ModelSpec) -> list[Version]:
        """Return one version of a model or, newest first, all that were ever wanted; a label is not looked at.

        Raises StatusError NOT_FOUND when there is none.
        """
        versions = self.models.get(spec.name, {})
        if spec.HasField("version"):
            if spec.version.value not in versions:
                raise StatusError(
                    grpc.StatusCode.NOT_FOUND, f"Could not find version {spec.version.value} of model {spec.name}"
                )
            return [versions[spec.version.value]]
        if not versions:
            raise StatusError(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        return [versions[number] for number in sorted(versions, reverse=True)]

    def served(self) -> list[LoadedModel]:
        """Return every version that is served, by model name and number."""
        return [
            model
            for _, versions in sorted(self.models.items())
            for _, version in sorted(versions.items())
            if (model := version.model)
        ]

    def alive(self) -> list[LoadedModel]:
        """Return every version that is served, and those that requests in flight still use."""
        return [model for versions in self.models.values() for version in versions.values() if (model := version.held)]

    def faults(self) -> str:
        """Return every version that could not be loaded, with the reason."""
        failed = [
            f"{name} {number}: {version.fault}"
            for name, versions in self.models.items()
            for number, version in versions.items()
            if version.fault
        ]
        return "; ".join(failed)

    def has(self, state: int) -> bool:
        """Return whether any version is in this state."""
        return any(version.state == state for versions in self.models.values() for version in versions.values())

    def check(self, labels: Labels, new_may_wait: bool = False) -> None:
        """Raise StatusError FAILED_PRECONDITION unless every label points to a version that is served.

        With `new_may_wait` those are let pass that point to no other version now.
        """
        for name, label, number in ((name, *pair) for name, pairs in labels.items() for pair in pairs.items()):
            if new_may_wait and self.labels.get(name, {}).get(label, number) == number:
                continue
            version = self.models.get(name, {}).get(number)
            if version is None or version.model is None:
                raise StatusError(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"label {label} cannot be assigned to version {number} of model {name}, "
                    "which is not currently available for inference",
                )

    def with_model(self, name: str, versions: Versions) -> "Snapshot":
        """Return a snapshot that differs in one model."""
        return replace(self, models={**self.models, name: versions})

    def _number(self, spec: model_pb2.ModelSpec) -> int | None:
        if spec.HasField("version"):
            return spec.version.value
        if not spec.HasField("version_label"):
            return None
        number = self.labels.get(spec.name, {}).get(spec.version_label)
        if number is None:
            raise StatusError(
                grpc.StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {spec.version_label}"
            )
        return number
