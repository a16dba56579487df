"""What make bench measures Shelver against: reproducible, and with nothing of Shelver's own in it."""

import ast
import re
from pathlib import Path

import pytest

from tests.benchmarks.peers import environment
from tests.benchmarks.peers.peer import PEERS


@pytest.mark.parametrize("name", PEERS)
def test_what_a_peer_needs_is_pinned_and_comes_from_nowhere_in_particular(name: str) -> None:
    """Whoever makes its environment gets the same versions, from the index that they use."""
    lines = environment.requirements(name).read_text().splitlines()
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_peers_use_nothing_of_the_worker_but_the_contract() -> None:
    """They are others' ways to do it: our pipeline must not be in them."""
    files = list(environment.HERE.glob("*.py"))
    assert {f"{name}.py" for name in PEERS} < {file.name for file in files}
    used = {name for file in files for name in _imported(file) if name.partition(".")[0] in ("worker", "producer")}
    assert used
    assert {name for name in used if not name.startswith("worker.contract.")} == set()


def _imported(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text())))
    plain = {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}
    return plain | {
        f"{node.module}.{each.name}" for node in nodes if isinstance(node, ast.ImportFrom) for each in node.names
    }
