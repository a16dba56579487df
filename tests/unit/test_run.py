"""A run's folder: written whole, read back, and anything else told apart from it."""

import json
from pathlib import Path

import pytest

from trainer.run import CATEGORIES, FACTS, Run, RunError

TREE = """category_id,category_level1,category_level2,category_level3
10,A,B,C
11,A,B,D
"""


def make(folder: Path) -> Run:
    (folder / CATEGORIES).write_text(TREE)
    config = {"batch": 8, "phases": [{"epochs": 1}]}
    return Run(folder, "tiny", config, "data", "plan", "none", 1, [10, 11], 180, {"products": 9}, 1.5, {"3": None})


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Every fact is in run.json; the folder may have moved in between."""
    run = make(tmp_path)
    run.write()
    assert Run.open(tmp_path) == run
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert Run.open(moved).folder == moved
    assert Run.open(moved).config == run.config


def test_a_run_keeps_its_tree(tmp_path: Path) -> None:
    """The categories are those of the fit."""
    run = make(tmp_path)
    assert [each.name for each in run.taxonomy.level(3)] == ["C", "D"]
    assert run.level == 3


def test_writing_leaves_no_draft(tmp_path: Path) -> None:
    """run.json appears whole: what is written on the way to it is gone."""
    run = make(tmp_path)
    run.write()
    run.metrics = {"level3": 0.75}
    run.write()
    assert {each.name for each in tmp_path.iterdir()} == {FACTS, CATEGORIES}
    assert Run.open(tmp_path).metrics == {"level3": 0.75}


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    """An unfinished fit leaves no run.json: the sentence names the folder and the remedy."""
    with pytest.raises(RunError, match=f"{tmp_path} is not a finished run .*shelver-trainer fit"):
        Run.open(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "5", "{}", '{"dump": "x"}', json.dumps({"folder": "x"}), "\xff"],
    ids=repr,
)
def test_a_run_json_that_is_none_is_told(content: str, tmp_path: Path) -> None:
    """A damaged or foreign file is one sentence, not a traceback."""
    (tmp_path / FACTS).write_bytes(content.encode("latin-1"))
    with pytest.raises(RunError, match="is not a finished run"):
        Run.open(tmp_path)


def test_a_fact_that_is_not_known_is_told(tmp_path: Path) -> None:
    """A run of a later release is refused by the field that this one does not know."""
    make(tmp_path).write()
    facts = json.loads((tmp_path / FACTS).read_text())
    (tmp_path / FACTS).write_text(json.dumps(facts | {"optimizer": "lion"}))
    with pytest.raises(RunError, match="optimizer"):
        Run.open(tmp_path)
