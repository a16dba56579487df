"""Where kubectl is at hand: pytest tests/deploy/kubectl.py. No part of make test, because Debian has none."""

import subprocess

import pytest
import yaml

from tests.deploy.manifests import KUBERNETES, OVERLAYS, objects


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_rendered_manifests_are_kustomizes_own(overlay: str) -> None:
    """What these tests look at is what `kubectl apply -k` sends, hashes and all."""
    command = ["kubectl", "kustomize", str(KUBERNETES / "overlays" / overlay)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def in_order(values: list[dict]) -> list[dict]:
        return sorted(values, key=lambda each: (each["kind"], each["metadata"]["name"]))

    assert in_order(list(yaml.safe_load_all(told))) == in_order(objects(overlay))
