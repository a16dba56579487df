"""Experiments as files: each that comes with Shelver is sound, and a mistake in one of your own is told by field."""

from pathlib import Path

import pytest

from trainer.backbones.build import BACKBONES
from trainer.config import ConfigError, load, names

SOUND = """'''Mine.'''
from trainer.config import Config, Phase
CONFIG = Config(backbone="baseline_cnn", phases=(Phase(epochs=1, learning_rate=0.1),){})
"""


def write(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", names())
def test_each_config_says_command_and_result(name: str) -> None:
    """Its docstring is enough to run it, and its backbone exists."""
    named = load(name)
    assert f"shelver-trainer fit {name} " in named.description
    assert f"--config {name}\n" in named.description
    assert named.config.backbone in BACKBONES


def test_every_row_of_the_case_study_is_a_config() -> None:
    """Nine rows with their published accuracy, the best recipe, and those for any data."""
    said = {name: load(name).description for name in names()}
    for accuracy in ("44.82", " 0 %", "26.02", "54.90", "25.66", "49.28", "50.21", "49.67", "58.31"):
        assert sum(accuracy in each for each in said.values()) == 1, accuracy
    assert {"best", "lite0_head"} <= set(said)


def test_a_file_of_your_own(tmp_path: Path) -> None:
    """By path, with single fields changed and whole ones replaced."""
    path = write(tmp_path, SOUND.format(""))
    named = load(path, ["phases.0.epochs=7", "data.level=2", "optimiser=sgd"], seed=5)
    assert (named.name, named.description) == ("mine", "Mine.")
    config = named.config
    assert (config.phases[0].epochs, config.data.level, config.optimiser, config.seed) == (7, 2, "sgd", 5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SOUND.format(", label_smoothin=0.1"), "label_smoothin is no field: did you mean label_smoothing"),
        (SOUND.format(", dropout=2"), "dropout is 2: input should be less than 1"),
        (SOUND.format(", optimiser='adamax'"), "optimiser is 'adamax'"),
        (SOUND.format("").replace("epochs=1, ", ""), "epochs is missing"),
        (SOUND.format("").replace("epochs", "epoch"), "epoch is no field: did you mean epochs"),
        (SOUND.format("").replace("epochs=1", "epochs=1, cached=True"), "cached is for train"),
        (SOUND.format("").replace("CONFIG", "CONFG"), "sets no CONFIG"),
        ("CONFIG = 5", "CONFIG is a int, not a trainer.config.Config"),
        ("CONFIG = (", "is no config"),
        ("import nonsense_that_is_not_there", "is no config"),
    ],
)
def test_mistakes_are_told_by_field(text: str, told: str, tmp_path: Path) -> None:
    """One message, without a traceback of pydantic's."""
    with pytest.raises(ConfigError, match="mine.py") as caught:
        load(write(tmp_path, text))
    assert told in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Nobody mends one field at a time."""
    with pytest.raises(ConfigError, match=r"(?s)dropout is 2.*batch is 0"):
        load(write(tmp_path, SOUND.format(", dropout=2, batch=0")))


@pytest.mark.parametrize("change", ["phases.3.epochs=1", "phases.x=1", "data.level.z=1", "batch"])
def test_a_change_of_no_field_is_told(change: str, tmp_path: Path) -> None:
    """--set names a field or says so."""
    with pytest.raises(ConfigError, match="is no field of a config|is no FIELD=VALUE"):
        load(write(tmp_path, SOUND.format("")), [change])


def test_a_changed_field_is_checked_too(tmp_path: Path) -> None:
    """A misspelt --set is not taken for a new field."""
    with pytest.raises(ConfigError, match="bach is no field: did you mean batch"):
        load(write(tmp_path, SOUND.format("")), ["bach=5"])


def test_an_unknown_name_lists_the_known() -> None:
    """The message is a menu."""
    with pytest.raises(ConfigError, match="resnet51 is neither a file nor one of .*resnet50"):
        load("resnet51")
