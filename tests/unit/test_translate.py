"""French names to English: asked once, kept at once, and people's edits win."""

import csv
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trainer.cli import app
from trainer.translation.english_names import COLUMNS, EnglishNames, NamesError
from trainer.translation.translate import KEPT_EVERY, Google, ServiceFailed, TranslationError, Unanswered, translate
from worker.contract.taxonomy import Taxonomy, path_id

TREE = Taxonomy.from_shelves(
    {
        11: ("MAISON", "CUISINE", "TASSE, BOL"),
        12: ("MAISON", "CUISINE", "CUISINE"),
        13: ("MAISON", "SALON", '<b>LAMPE</b> "ÉTÉ" &amp; =1+1'),
        14: ("SPORT", "BALLON", "BALLON"),
    }
)
DISTINCT = {each.name for each in TREE.categories}


class Service:
    """Stands for the outside service: answers in upper case, and fails when told to."""

    def __init__(self, failures: dict[int, Exception] | None = None, answer: Callable[[str], str] | None = None):
        self.asked: list[str] = []
        self._failures = failures or {}
        self._answer = answer or (lambda name: f"  EN\n{name} ")

    def translate(self, name: str) -> str:
        self.asked.append(name)
        if failure := self._failures.get(len(self.asked)):
            raise failure
        return self._answer(name)


def silent(what: str, total: int) -> Callable[[int], None]:
    return lambda count: None


def run(path: Path, service: Service | None, tree: Taxonomy = TREE) -> EnglishNames:
    return translate(tree, path, service, silent, pauses=())


def rows(path: Path) -> dict[int, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {int(row["category_id"]): row for row in csv.DictReader(file)}


def edit(path: Path, identity: int, english: str) -> None:
    changed = rows(path)
    changed[identity]["name_en"] = english
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(changed.values())


def wide(count: int) -> Taxonomy:
    return Taxonomy.from_shelves({each: ("A", "B", f"NOM {each}") for each in range(1, count + 1)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "category_names_en.csv"


def test_every_node_has_a_row_and_each_name_is_asked_once(path: Path) -> None:
    """Three levels, names with commas, quotes and markup as they are; a name in two places costs one question."""
    service = Service()
    run(path, service)
    assert sorted(service.asked) == sorted(DISTINCT)
    found = rows(path)
    assert path.read_text(encoding="utf-8").startswith(",".join(COLUMNS) + "\n")
    assert set(found) == {each.id for each in TREE.categories}
    for each in TREE.categories:
        assert found[each.id] == {
            "category_id": str(each.id), "level": str(each.level), "name": each.name, "name_en": f"EN {each.name}",
        }  # fmt: skip


def test_a_second_time_asks_nothing(path: Path) -> None:
    """What is in the file is not asked for again, and the file stays the same to the byte."""
    run(path, Service())
    before = path.read_bytes()
    service = Service()
    run(path, service)
    assert service.asked == []
    assert path.read_bytes() == before


def test_edits_win(path: Path) -> None:
    """An edited name stays; one that was emptied takes its namesake's, or is asked for anew."""
    run(path, Service())
    edit(path, 12, "Kitchen things")
    edit(path, 11, "")
    edit(path, path_id("SPORT", "BALLON"), "")
    service = Service()
    names = {each.id: each.name_en for each in run(path, service).categories()}
    assert service.asked == ["TASSE, BOL"]
    assert names[12] == rows(path)[12]["name_en"] == "Kitchen things"
    assert names[path_id("MAISON", "CUISINE")] == "EN CUISINE"
    assert names[path_id("SPORT", "BALLON")] == "EN BALLON"


def test_edits_made_meanwhile_win(path: Path) -> None:
    """Twenty minutes of translating do not undo what a person saves in them."""

    def answer(name: str) -> str:
        if name == "SPORT":
            edit(path, path_id("SPORT"), "Sports and games")
            edit(path, path_id("MAISON"), "Home")
        return f"EN {name}"

    run(path, Service(answer=answer))
    assert rows(path)[path_id("SPORT")]["name_en"] == "Sports and games"
    assert rows(path)[path_id("MAISON")]["name_en"] == "Home"
    assert rows(path)[14]["name_en"] == "EN BALLON"


def test_a_renamed_category_is_translated_anew(path: Path) -> None:
    """The English of the old name is not that of the new one."""
    run(path, Service())
    renamed = Taxonomy.from_shelves({11: ("MAISON", "CUISINE", "MUG")})
    service = Service()
    run(path, service, renamed)
    assert service.asked == ["MUG"]
    assert rows(path)[11]["name_en"] == "EN MUG"


def test_rows_of_other_trees_are_kept(path: Path) -> None:
    """A wrong --categories must not cost the work of a person: unknown ids are counted and stay in the file."""
    run(path, Service())
    edit(path, 14, "Ball, edited")
    small = run(path, Service(), Taxonomy.from_shelves({11: ("MAISON", "CUISINE", "TASSE, BOL")}))
    assert any("6 rows are of no category" in line for line in small.lines())
    service = Service()
    names = {each.id: each.name_en for each in run(path, service).categories()}
    assert service.asked == []
    assert names[14] == "Ball, edited"


@pytest.mark.parametrize("failure", [ServiceFailed("it takes no more requests"), KeyboardInterrupt(), MemoryError()])
def test_an_interruption_keeps_what_was_translated(path: Path, failure: BaseException) -> None:
    """Whatever ends it; the next time only the rest is asked for."""
    with pytest.raises((TranslationError, KeyboardInterrupt, MemoryError)):
        run(path, Service({4: failure}))
    assert len({row["name"] for row in rows(path).values() if row["name_en"]}) == 3
    service = Service()
    run(path, service)
    assert len(service.asked) == len(DISTINCT) - 3
    assert all(row["name_en"] for row in rows(path).values())


def test_the_file_is_written_again_and_again(path: Path) -> None:
    """A kill that leaves no time to write costs at most KEPT_EVERY translations."""
    kept: list[int] = []

    def answer(name: str) -> str:
        kept.append(sum(bool(row["name_en"]) for row in rows(path).values()))
        return name

    run(path, Service(answer=answer), wide(2 * KEPT_EVERY))
    assert all(count - known <= KEPT_EVERY for count, known in enumerate(kept))


def test_a_service_that_is_down_is_told_in_a_sentence(path: Path) -> None:
    """What was kept, what is left, and the two ways to go on."""
    with pytest.raises(TranslationError) as caught:
        run(path, Service({3: ServiceFailed("it takes no more requests for now")}))
    told = str(caught.value)
    assert "it takes no more requests for now" in told
    assert f"2 names were translated and are kept in {path}, {len(DISTINCT) - 2} are left" in told
    assert "run the same command again" in told
    assert "--offline" in told
    assert "\n" not in told


def test_a_short_failure_is_waited_out(path: Path) -> None:
    """The service is asked again after a pause, as often as there are pauses."""
    service = Service({2: ServiceFailed("x"), 3: ServiceFailed("x")})
    names = translate(TREE, path, service, silent, pauses=(0, 0))
    assert not names.missing()
    assert len(service.asked) == len(DISTINCT) + 2


def test_a_name_without_answer_is_left_empty(path: Path) -> None:
    """One strange name does not hold up the others, but a service without any answers is told."""
    names = run(path, Service(answer=lambda name: "  " if name == "SALON" else name.lower()))
    assert names.missing() == ["SALON"]
    assert any("1 names lack a translation" in line for line in names.lines())
    with pytest.raises(TranslationError, match="consent page"):
        run(path.with_name("other.csv"), Service({each: Unanswered("consent page") for each in range(1, 99)}))


def test_offline_asks_nothing_and_counts(path: Path) -> None:
    """Without a service the file is made for people to fill in."""
    names = run(path, None)
    assert set(names.missing()) == DISTINCT
    assert list(names.lines()) == [
        f"{path}: 0 of 9 categories have an English name",
        "7 names lack a translation: fill in name_en by hand, or run without --offline",
    ]
    assert all(row["name_en"] == "" for row in rows(path).values())


HEADER = "category_id,level,name,name_en\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("category_id,name\n", "line 1: column level, name_en is missing"),
        ("", "line 1: column category_id, level, name, name_en is missing"),
        (HEADER.replace(",", ";") + "11;3;A;B\n", "line 1: column .* is missing.*separated by commas"),
        (HEADER + "11,3,A,B\n11,3,A,C\n", "line 3: category 11 is in line 2 already"),
        (HEADER + "x,3,A,B\n", "line 2: category_id 'x' is not a whole number"),
        (HEADER + "²,3,A,B\n", "line 2: category_id '²' is not a whole number"),
        (HEADER + f"{'9' * 5000},3,A,B\n", "line 2: "),
        (HEADER + "\n11,3,A,B,C\n", "line 3: has more fields than the header"),
        (HEADER + "".join(f"x{each},3,A,B\n" for each in range(30)), "and 10 more"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_by_line(path: Path, content: str, told: str) -> None:
    """Nothing is asked, and the file is left as it is."""
    path.write_text(content, encoding="utf-8")
    service = Service()
    with pytest.raises(NamesError, match=told):
        run(path, service)
    assert service.asked == []
    assert path.read_text(encoding="utf-8") == content


def test_what_spreadsheets_leave_behind_is_read(path: Path) -> None:
    """A byte-order mark, CRLF, quotes, spaces and columns in another order do no harm; short rows are empty."""
    path.write_bytes('\ufeffname_en, name ,level,category_id\r\n"Balls, round",BALLON ,2,14\r\n'.encode())
    names = {each.id: each.name_en for each in run(path, None).categories()}
    assert names[14] == "Balls, round"
    path.write_text(HEADER + "14\n")
    assert 14 in rows(path)
    assert run(path, None).missing()


def test_bytes_that_are_no_text_are_told(path: Path) -> None:
    """A file saved in a legacy encoding: one sentence with the remedy."""
    path.write_bytes(HEADER.encode() + "14,3,BALLON,été\n".encode("cp1252"))
    with pytest.raises(NamesError, match="save it as CSV in UTF-8"):
        run(path, None)


def test_a_place_that_takes_no_file_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    """No translation is lost to a folder that does not exist."""
    service = Service()
    with pytest.raises(NamesError, match="cannot be written"):
        run(tmp_path / "nowhere" / "names.csv", service)
    assert service.asked == []


def test_nothing_is_left_beside_the_file(path: Path) -> None:
    """It is replaced whole: no draft remains."""
    run(path, Service())
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_without_a_network_the_sentence_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """deep-translator's own errors become ours: an unreachable service is one that may come back."""
    with socket.socket() as bound:  # nobody listens on it
        bound.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, address)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(ServiceFailed, match="cannot be reached"):
            Google().translate("TASSE")


def test_the_command_works_offline(tmp_path: Path) -> None:
    """From the file alone: it tells how many names lack a translation."""
    tree, names = tmp_path / "tree.csv", tmp_path / "names.csv"
    tree.write_text("category_id,category_level1,category_level2,category_level3\n1,A,B,C\n")
    done = CliRunner().invoke(app, ["translate", "--categories", str(tree), "--names", str(names), "--offline"])
    assert done.exit_code == 0, done.output
    assert "0 of 3 categories have an English name" in done.output
    assert "3 names lack a translation" in done.output
    assert set(rows(names)) == {1, path_id("A"), path_id("A", "B")}
