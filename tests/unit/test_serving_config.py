"""TensorFlow Serving's model config file: what a label changes in it, and what it never does."""

import threading
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from trainer.publishing.labels import (
    LabelError,
    Labels,
    canary,
    candidate,
    first,
    former,
    stable,
    without_canary,
)
from trainer.publishing.serving_config import (
    FILE,
    Served,
    ServingConfigError,
    labelled,
    load,
    read,
    served,
    with_labels,
)


def label(folder: Path, version: int, name: str) -> None:
    """Put a label on a version, whichever had it."""
    with labelled(folder, lambda labels: {**labels, name: version}):
        pass


def now(models: Path) -> Served:
    return served(read(models / FILE), "shelver")


def test_the_first_label_makes_the_file(tmp_path: Path) -> None:
    """Only that version is served; TensorFlow Serving parses the text."""
    label(tmp_path / "shelver", 3, "canary")
    config = text_format.Parse((tmp_path / FILE).read_text(), ModelServerConfig())
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("shelver", str(tmp_path / "shelver"), "tensorflow")
    assert list(model.model_version_policy.specific.versions) == [3]
    assert dict(model.version_labels) == {"canary": 3}


def test_labelled_versions_are_served(tmp_path: Path) -> None:
    """A version of two labels is listed once; one that loses its last one goes; one that waits for its first stays."""
    folder = tmp_path / "shelver"
    label(folder, 1, "stable")
    load(folder, [2, 3])
    load(folder, [3])
    assert now(tmp_path) == Served({"stable": 1}, frozenset({1, 2, 3}))
    with labelled(folder, canary(2)) as labels:
        assert labels == {"stable": 1, "canary": 2}
    assert now(tmp_path) == Served({"stable": 1, "canary": 2}, frozenset({1, 2, 3}))
    for _ in range(2):
        label(folder, 2, "stable")
        specific = read(tmp_path / FILE).model_config_list.config[0].model_version_policy.specific
        assert (list(specific.versions), now(tmp_path).labels) == ([2, 3], {"stable": 2, "canary": 2})
    with labelled(folder, lambda labels: labels, alone=True):
        assert now(tmp_path).versions == {2}


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
    before = served(config, "shelver")
    assert before == Served({"night": 7}, frozenset())
    changed = with_labels(config, tmp_path / "shelver", stable(9)(before.labels))
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
    with pytest.raises(AssertionError, match="canary"), labelled(tmp_path / "shelver", canary(1)):
        assert now(tmp_path).labels == {}
    assert (path.read_text() if path.exists() else None) == before
    assert not [each for each in tmp_path.iterdir() if each != path]


def test_what_is_so_already_is_not_written_again(tmp_path: Path) -> None:
    """No server is made to read the same file once more."""
    label(tmp_path / "shelver", 1, "stable")
    path = tmp_path / FILE
    path.write_text(path.read_text() + "# by hand\n")
    label(tmp_path / "shelver", 1, "stable")
    load(tmp_path / "shelver", [1])
    assert path.read_text().endswith("# by hand\n")


@pytest.mark.parametrize("content", ["model_config_list {", "\x00\xff", "custom_model_config { }", "[]"], ids=repr)
def test_a_file_that_is_no_model_config_is_told(content: str, tmp_path: Path) -> None:
    """Named, with the remedy, and left as it is."""
    path = tmp_path / FILE
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ServingConfigError, match=r"models\.config (is no ModelServerConfig|holds a custom_model)"):
        label(tmp_path / "shelver", 1, "canary")
    assert path.read_bytes() == content.encode("latin-1")
    with pytest.raises(ServingConfigError, match="none cannot be opened"):
        label(tmp_path / "none" / "shelver", 1, "canary")


def test_an_empty_file_is_a_config(tmp_path: Path) -> None:
    """As touch leaves it."""
    (tmp_path / FILE).touch()
    label(tmp_path / "shelver", 1, "stable")
    assert now(tmp_path).labels == {"stable": 1}


def test_two_publishers_do_not_lose_a_label(tmp_path: Path) -> None:
    """One waits for the other: both labels are there afterwards."""
    entered = threading.Event()

    def second() -> None:
        entered.wait()
        label(tmp_path / "shelver", 2, "canary")

    other = threading.Thread(target=second)
    other.start()
    with labelled(tmp_path / "shelver", stable(1)):
        entered.set()
        other.join(0.2)
        assert other.is_alive()
        assert now(tmp_path).labels == {"stable": 1}
    other.join()
    assert now(tmp_path).labels == {"stable": 1, "canary": 2}


@pytest.mark.parametrize(
    ("before", "version", "after"),
    [
        ({}, 1, {"stable": 1}),
        ({"stable": 1, "canary": 2}, 2, {"stable": 2, "previous": 1}),
        ({"stable": 2, "previous": 1, "canary": 3}, 3, {"stable": 3, "previous": 2}),
        ({"stable": 2, "previous": 1}, 1, {"stable": 1, "previous": 2}),
        ({"stable": 2, "previous": 1}, 2, {"stable": 2, "previous": 1}),
        ({"stable": 2, "canary": 3, "night": 9}, 4, {"stable": 4, "previous": 2, "canary": 3, "night": 9}),
    ],
    ids=str,
)
def test_a_version_becomes_stable(before: Labels, version: int, after: Labels) -> None:
    """What was stable is previous, canary goes when it is the one, and doing it twice is doing it once."""
    assert stable(version)(before) == after
    assert stable(version)(after) == after


def test_a_canary_comes_and_goes() -> None:
    """It moves, it may be what was stable before, but not what is; it is not taken away where nothing would be left."""
    assert canary(2)({"stable": 1}) == {"stable": 1, "canary": 2}
    assert canary(3)({"stable": 2, "canary": 1, "previous": 3}) == {"stable": 2, "canary": 3, "previous": 3}
    assert without_canary({"stable": 1, "canary": 2}) == without_canary({"stable": 1}) == {"stable": 1}
    with pytest.raises(LabelError, match="version 1 is stable"):
        canary(1)({"stable": 1})
    with pytest.raises(LabelError, match="but for canary no version has a label.*promote one first"):
        without_canary({"canary": 2})


def test_publishing_takes_no_label_away() -> None:
    """A label that another version has moves only when the server has loaded the new one; the remedy is told."""
    assert first("stable", 1)({}) == first("stable", 1)({"stable": 1}) == {"stable": 1}
    with pytest.raises(LabelError, match="stable is version 1 already: publish with --label canary.*promote MODELS V"):
        first("stable", 2)({"stable": 1})
    with pytest.raises(LabelError, match="canary is version 2 already: publish without --label, .*canary MODELS V"):
        first("canary", 3)({"stable": 1, "canary": 2})


def test_which_version_is_meant() -> None:
    """promote takes the canary, rollback the previous one if it is older; a version that is named must be either."""
    labels = {"stable": 2, "previous": 1, "canary": 3}
    assert candidate(labels, "m") == 3
    assert [former(labels, "m", each) for each in (None, 1, 2)] == [1, 1, 2]
    with pytest.raises(LabelError, match=r"no version is canary \(none has a label\): .*canary m VERSION"):
        candidate({}, "m")
    with pytest.raises(LabelError, match=r"no version is previous \(stable is version 2\): .*promote m VERSION"):
        former({"stable": 2}, "m")
    with pytest.raises(LabelError, match="version 3 is not previous"):
        former(labels, "m", 3)
    labels = {"stable": 1, "previous": 2}
    assert [former(labels, "m", each) for each in (1, 2)] == [1, 2]
    with pytest.raises(LabelError, match="older than previous already .*rollback m 1 waits .*rollback m 2 makes"):
        former(labels, "m")
