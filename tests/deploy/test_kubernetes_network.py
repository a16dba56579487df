"""Who may reach whom: exactly what the table says, by the policies of both sides."""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.deploy.manifests import NAMESPACE, OVERLAYS, Workload, matches, of_kind, workloads

#: servers that are not in the cluster, and their ports
OUTSIDE = {"mongodb": 27017, "redis": 6379, "postgresql": 5432}
STORES = set(OUTSIDE)
#: what each component may open a connection to; names are asked for by all but the model server
EDGES = {
    "worker": STORES | {"serving"},
    "watch": STORES,
    "api": STORES,
    "exporter": STORES | {"serving"},
    "reconcile": STORES,
    "console": STORES | {"serving"},  # its page on operations shows the queues
    "trainer": {"postgresql", "serving"},
    "migrate": {"postgresql"},
    "prune": {"postgresql", "serving"},
    "backup": {"postgresql"},
    "restore": {"postgresql"},
    "serving": set(),
}
DATABASE, PICTURES, MACHINE = "10.9.8.7", "93.184.215.14", "192.168.3.4"
both = pytest.mark.parametrize("overlay", OVERLAYS)


@dataclass(frozen=True)
class Place:
    """A pod, ours or not, or an address outside the cluster."""

    labels: dict[str, str] = field(default_factory=dict)
    namespace: dict[str, str] | None = None
    address: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether our policies are about it."""
        return self.namespace == OURS


OURS = {"kubernetes.io/metadata.name": NAMESPACE}
DNS = Place({"k8s-app": "kube-dns"}, {"kubernetes.io/metadata.name": "kube-system"})
PROMETHEUS = Place({"app.kubernetes.io/name": "prometheus"}, {"kubernetes.io/metadata.name": "monitoring"})


def place(workload: Workload) -> Place:
    return Place(workload.labels, OURS)


def allows(overlay: str, source: Place, target: Place, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection is let out, and in: a side without a policy about it lets everything pass."""
    return _passes(overlay, "Egress", source, target, port, protocol) and _passes(
        overlay, "Ingress", target, source, port, protocol
    )


def _passes(overlay: str, way: str, about: Place, other: Place, port: int, protocol: str) -> bool:
    policies = [
        each["spec"]
        for each in of_kind(overlay, "NetworkPolicy").values()
        if about.is_ours and way in each["spec"]["policyTypes"] and matches(each["spec"]["podSelector"], about.labels)
    ]
    peers = {"Egress": "to", "Ingress": "from"}[way]
    rules = [rule for each in policies for rule in each.get(way.lower(), ())]
    return not policies or any(
        {"protocol": protocol, "port": port} in rule["ports"]
        and (peers not in rule or any(_is(peer, other) for peer in rule[peers]))
        for rule in rules
    )


def _is(peer: dict[str, Any], place: Place) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        inside = (
            [ip_address(place.address) in ip_network(each) for each in block.get("except", ())] if place.address else []
        )
        return bool(place.address) and ip_address(place.address) in ip_network(block["cidr"]) and not any(inside)
    if place.namespace is None:
        return False
    spaces = matches(peer["namespaceSelector"], place.namespace) if "namespaceSelector" in peer else place.is_ours
    return spaces and matches(peer.get("podSelector", {}), place.labels)


@both
def test_who_reaches_which_server(overlay: str) -> None:
    """Each component reaches what it needs and nothing else; none is missing from the table."""
    found = {each.component: each for each in workloads(overlay)}
    assert set(found) == set(EDGES)
    for component, each in found.items():
        reached = {
            name for name, port in OUTSIDE.items() if allows(overlay, place(each), Place(address=DATABASE), port)
        }
        reached |= {
            name
            for name, other in found.items()
            if any(allows(overlay, place(each), place(other), port) for port in other.ports.values())
        }
        assert reached == EDGES[component], component


@both
def test_names_are_asked_of_the_clusters_dns(overlay: str) -> None:
    """By everyone but the model server, which asks nobody for anything."""
    for each in workloads(overlay):
        asks = {allows(overlay, place(each), DNS, 53, protocol) for protocol in ("TCP", "UDP")}
        assert asks == {each.component != "serving"}, each.name
        assert not allows(overlay, place(each), Place(address=DATABASE), 53, "UDP"), each.name


@both
def test_prometheus_reaches_what_has_metrics(overlay: str) -> None:
    """On the annotated port, from its own namespace; nobody else does, and it reaches no other port."""
    for each in workloads(overlay):
        port = int(each.annotations.get("prometheus.io/port", 0))
        reached = {number for number in each.ports.values() if allows(overlay, PROMETHEUS, place(each), number)}
        assert reached == ({port} if port else set()), each.name
        stranger = Place(PROMETHEUS.labels, {"kubernetes.io/metadata.name": "elsewhere"})
        assert not any(allows(overlay, stranger, place(each), number) for number in each.ports.values()), each.name


@both
def test_callers_come_from_namespaces_that_have_the_label(overlay: str) -> None:
    """The API's from one kind, the console's from another; no other namespace reaches a pod."""
    for label, component in (("reaches/shelver-api", "api"), ("reaches/shelver-console", "console")):
        caller = Place({}, {"kubernetes.io/metadata.name": "shop", label: "true"})
        reached = {
            each.component
            for each in workloads(overlay)
            if any(allows(overlay, caller, place(each), port) for port in each.ports.values())
        }
        assert reached == {component}


@both
def test_the_console_fetches_pictures_from_the_internet_alone(overlay: str) -> None:
    """Public addresses, and none of the cluster's or the company's own; nobody else fetches any."""
    for each in workloads(overlay):
        for port in (80, 443):
            assert allows(overlay, place(each), Place(address=PICTURES), port) == (each.component == "console")
            for address in (DATABASE, MACHINE, "169.254.169.254"):
                assert not allows(overlay, place(each), Place(address=address), port)
