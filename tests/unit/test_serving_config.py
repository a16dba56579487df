"""TensorFlow Serving's model config file: what a label changes in it, and what it never does."""

import threading
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from trainer.publishing.serving_config import FILE, ServingConfigError, labelled, read, with_label


def label(folder: Path, version: int, name: str) -> None:
    with labelled(folder, version, name):
        pass


def labels(models: Path) -> dict[str, int]:
    return dict(read(models / FILE).model_config_list.config[0].version_labels)


def test_the_first_label_makes_the_file(tmp_path: Path) -> None:
    """Only that version is served; TensorFlow Serving parses the text."""
    label(tmp_path / "shelver", 3, "canary")
    config = text_format.Parse((tmp_path / FILE).read_text(), ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("shelver", str(tmp_path / "shelver"), "tensorflow")
    assert list(model.model_version_policy.specific.versions) == [3]
    assert dict(model.version_labels) == {"canary": 3}


def test_promotion_and_return(tmp_path: Path) -> None:
    """A version of both labels is listed once; one without a label is served no more."""
    for version, name in ((1, "stable"), (2, "canary"), (2, "stable")):
        label(tmp_path / "shelver", version, name)
    (model,) = read(tmp_path / FILE).model_config_list.config
    assert dict(model.version_labels) == {"stable": 2, "canary": 2}
    assert list(model.model_version_policy.specific.versions) == [2]
    label(tmp_path / "shelver", 1, "stable")
    assert labels(tmp_path) == {"stable": 1, "canary": 2}


def test_what_a_person_wrote_stays(tmp_path: Path) -> None:
    """Another model, labels of other names, and a base path as the server sees it; only the policy is ours."""
    config = text_format.Parse(
        """model_config_list {
          config { name: "other" base_path: "/o" model_platform: "tensorflow" model_version_policy { all {} } }
          config { name: "shelver" base_path: "/models/shelver" model_platform: "tensorflow"
                   model_version_policy { latest { num_versions: 2 } } version_labels { key: "night" value: 7 } }
        }""",
        ModelServerConfig(),
    )
    changed = with_label(config, tmp_path / "shelver", 9, "stable")
    other, ours = changed.model_config_list.config
    assert other == config.model_config_list.config[0]
    assert ours.base_path == "/models/shelver"
    assert dict(ours.version_labels) == {"night": 7, "stable": 9}
    assert list(ours.model_version_policy.specific.versions) == [7, 9]
    assert dict(config.model_config_list.config[1].version_labels) == {"night": 7}  # the original is untouched


@pytest.mark.parametrize("before", [None, "model_config_list { }  # by hand\n"])
def test_a_block_that_raises_takes_the_label_back(before: str | None, tmp_path: Path) -> None:
    """The file is what it was, to the byte, or is not there."""
    path = tmp_path / FILE
    if before:
        path.write_text(before)
    with pytest.raises(AssertionError, match="canary"), labelled(tmp_path / "shelver", 1, "canary"):
        assert labels(tmp_path) == {}
    assert (path.read_text() if path.exists() else None) == before
    assert not [each for each in tmp_path.iterdir() if each != path]


@pytest.mark.parametrize("content", ["model_config_list {", "\x00\xff", "custom_model_config { }", "[]"], ids=repr)
def test_a_file_that_is_no_model_config_is_told(content: str, tmp_path: Path) -> None:
    """Named, with the remedy, and left as it is."""
    path = tmp_path / FILE
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ServingConfigError, match=r"models\.config (is no ModelServerConfig|holds a custom_model)"):
        label(tmp_path / "shelver", 1, "canary")
    assert path.read_bytes() == content.encode("latin-1")


def test_an_empty_file_is_a_config(tmp_path: Path) -> None:
    """As touch leaves it."""
    (tmp_path / FILE).touch()
    label(tmp_path / "shelver", 1, "stable")
    assert labels(tmp_path) == {"stable": 1}


def test_two_publishers_do_not_lose_a_label(tmp_path: Path) -> None:
    """One waits for the other: both labels are there afterwards."""
    entered = threading.Event()

    def second() -> None:
        entered.wait()
        label(tmp_path / "shelver", 2, "canary")

    other = threading.Thread(target=second)
    other.start()
    with labelled(tmp_path / "shelver", 1, "stable"):
        entered.set()
        other.join(0.2)
        assert other.is_alive()
        assert labels(tmp_path) == {"stable": 1}
    other.join()
    assert labels(tmp_path) == {"stable": 1, "canary": 2}
