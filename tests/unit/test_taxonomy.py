"""The category tree from category_names.csv: stable ids, and every line at fault told."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.contract.taxonomy import COLUMNS, Category, Taxonomy, TaxonomyError, path_id, to_rows

HEADER = ",".join(COLUMNS)
TREE = f"""{HEADER}
1000000030,TELEPHONIE - GPS,ACCESSOIRE TELEPHONE,COQUE - BUMPER
1000000010,TELEPHONIE - GPS,ACCESSOIRE TELEPHONE,CHARGEUR
1000000020,DÉCO,LINGE,COQUE - BUMPER
1000000040,JEUX,LINGE,"POUPÉE, POUPON"
"""


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "category_names.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def complaint(folder: Path, *lines: str) -> str:
    with pytest.raises(TaxonomyError) as caught:
        Taxonomy.from_csv(write(folder, "\n".join((HEADER, *lines))))
    return str(caught.value)


@pytest.fixture
def tree(tmp_path: Path) -> Taxonomy:
    return Taxonomy.from_csv(write(tmp_path, TREE))


def test_ids_of_levels_1_and_2_never_change() -> None:
    """Every stored prediction names them: these very numbers, on every machine, in every release."""
    assert path_id("TELEPHONIE - GPS") == 559678493801834
    assert path_id("TELEPHONIE - GPS", "ACCESSOIRE TELEPHONE") == 425033919340413
    assert path_id("DÉCO") == 320319437811646
    assert path_id("DÉCO", "LINGE") == 348015678000121
    assert path_id("JEUX", "LINGE") == 282279060091751


@settings(deadline=None)
@given(st.lists(st.text(max_size=10), min_size=1, max_size=2))
def test_ids_of_levels_1_and_2_are_out_of_the_catalogs_way(names: list[str]) -> None:
    """They lie from 2**48 to below 2**49: above any catalog id, and exact in a spreadsheet's double."""
    assert 2**48 <= path_id(*names) < 2**49
    assert int(float(path_id(*names))) == path_id(*names)


def test_a_path_is_not_its_letters() -> None:
    """Where one name ends and the next begins is part of the path."""
    assert len({path_id("AB", "C"), path_id("A", "BC"), path_id("ABC"), path_id("A B C")}) == 4


def test_the_tree_has_three_levels(tree: Taxonomy) -> None:
    """Each level comes in order of id; level 3 keeps the catalog's own ids and names."""
    assert [each.name for each in tree.level(3)] == ["CHARGEUR", "COQUE - BUMPER", "COQUE - BUMPER", "POUPÉE, POUPON"]
    assert [each.id for each in tree.level(3)] == [1000000010, 1000000020, 1000000030, 1000000040]
    assert [each.id for each in tree.level(2)] == [282279060091751, 348015678000121, 425033919340413]
    assert [each.id for each in tree.level(1)] == sorted(path_id(name) for name in ("TELEPHONIE - GPS", "DÉCO", "JEUX"))
    assert len(tree.categories) == 10


def test_parents_stand_before_their_children(tree: Taxonomy) -> None:
    """The categories can be inserted in order under a foreign key."""
    seen: set[int | None] = {None}
    for category in tree.categories:
        assert category.parent_id in seen
        assert (category.parent_id is None) == (category.level == 1)
        seen.add(category.id)


def test_ancestors(tree: Taxonomy) -> None:
    """A category's shelf at each level above it, and itself at its own."""
    levels = [tree.ancestor(1000000010, level) for level in (1, 2, 3)]
    assert levels == [559678493801834, 425033919340413, 1000000010]
    assert tree.ancestor(425033919340413, 1) == 559678493801834
    assert tree.ancestor(559678493801834, 1) == 559678493801834
    with pytest.raises(KeyError):
        tree.ancestor(5, 1)


def test_a_name_under_two_parents_is_two_categories(tree: Taxonomy) -> None:
    """LINGE of DÉCO is another shelf than LINGE of JEUX."""
    linens = [each for each in tree.level(2) if each.name == "LINGE"]
    assert [tree.by_id[each.parent_id].name for each in linens if each.parent_id] == ["JEUX", "DÉCO"]


def test_rows_for_the_table(tree: Taxonomy) -> None:
    """A category becomes a row with the table's five columns."""
    rows = list(to_rows(tree.level(3)))
    assert rows[0] == {
        "id": 1000000010,
        "level": 3,
        "parent_id": 425033919340413,
        "name": "CHARGEUR",
        "name_en": None,
    }
    assert len(rows) == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("CHARGEUR", "  CHARGEUR\t "),
        lambda text: text.replace("ACCESSOIRE TELEPHONE", "ACCESSOIRE   TELEPHONE", 1),
        lambda text: text.replace("ACCESSOIRE TELEPHONE", "ACCESSOIRE\u00a0TELEPHONE", 1),
        lambda text: text.replace("1000000010,", " 1000000010 , "),
        lambda text: text.replace(',"POUP', ', "POUP'),
        lambda text: text.replace(HEADER, HEADER.replace(",", " , ")),
        lambda text: text + text.splitlines()[1] + "\n",
        lambda text: text + "\n\n",
        lambda text: "".join([text.splitlines(True)[0], *reversed(text.splitlines(True)[1:])]),
        lambda text: "\n".join(f"{line},5" for line in text.replace(HEADER, f"{HEADER},products").splitlines()),
    ],
    ids=[
        "byte-order mark",
        "CRLF",
        "no last newline",
        "stray spaces",
        "double space",
        "no-break space",
        "spaces around an id",
        "a space before a quote",
        "spaces in the header",
        "a line twice",
        "blank lines",
        "another order",
        "one column more",
    ],
)
def test_harmless_differences_make_no_difference(change, tree: Taxonomy, tmp_path: Path) -> None:
    """What spreadsheets and editors do to a file changes neither ids nor names."""
    assert change(TREE) != TREE
    assert Taxonomy.from_csv(write(tmp_path, change(TREE))) == tree


def test_one_id_on_two_shelves_is_told(tmp_path: Path) -> None:
    """The message names the line, the id and the shelf it already stands for."""
    told = complaint(tmp_path, "1,A,B,C", "2,A,B,D", "1,A,B,E")
    assert "line 4: category 1 already stands for A > B > C" in told


@pytest.mark.parametrize("identity", ["", "abc", "12.0", "-1", "1e3", "0x1", "²", str(2**48), "9" * 5000, "1 2"])
def test_an_id_that_is_no_number_is_told(identity: str, tmp_path: Path) -> None:
    """The line is named, and ids that could meet those of levels 1 and 2 are refused."""
    told = complaint(tmp_path, "1,A,B,C", f"{identity},A,B,D")
    assert "line 3: " in told
    assert "1 line(s) to mend" in told


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("1,,B,C", "category_level1"),
        ("1,A,  ,C", "category_level2"),
        ("1,A,B,", "category_level3"),
        ("1,A,B", "category_level3"),
    ],
)
def test_an_empty_name_is_told(line: str, column: str, tmp_path: Path) -> None:
    """The message names line and column."""
    assert f"line 2: {column} is empty" in complaint(tmp_path, line)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """One reading of the message is enough to mend the file; sound lines are not mentioned."""
    told = complaint(tmp_path, "x,A,B,C", "1,A,B,C", "2,,B,C", "1,A,B,D")
    assert [line.split(":")[0].strip() for line in told.splitlines()[1:]] == ["line 2", "line 4", "line 5"]
    assert "3 line(s) to mend" in told
    assert str(tmp_path) in told


def test_very_many_problems_are_counted(tmp_path: Path) -> None:
    """A wrong file does not fill the screen: twenty lines are quoted and the rest is counted."""
    told = complaint(tmp_path, *(f"x{number},A,B,C" for number in range(50)))
    assert len(told.splitlines()) == 22
    assert told.endswith("and 30 more")


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_told(column: str, tmp_path: Path) -> None:
    """The message names the column and shows what the header must be."""
    with pytest.raises(TaxonomyError, match=f"line 1: column {column} is missing.*{HEADER}"):
        Taxonomy.from_csv(write(tmp_path, TREE.replace(column, "other", 1)))


@pytest.mark.parametrize("content", ["", "\n", "\ufeff"], ids=repr)
def test_an_empty_file_is_told(content: str, tmp_path: Path) -> None:
    """A file without a header misses every column."""
    with pytest.raises(
        TaxonomyError, match="category_id, category_level1, category_level2, category_level3 is missing"
    ):
        Taxonomy.from_csv(write(tmp_path, content))


def test_a_header_alone_is_told(tmp_path: Path) -> None:
    """A tree without a category is no tree."""
    assert "no category follows the header" in complaint(tmp_path)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_is_told(encoding: str, tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused with its name, instead of names in garbage."""
    with pytest.raises(TaxonomyError, match=r"cannot read the categories from .*category_names\.csv"):
        Taxonomy.from_csv(write(tmp_path, TREE.encode(encoding)))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A wrong path is one sentence, not a traceback."""
    with pytest.raises(TaxonomyError, match=r"cannot read the categories from .*nowhere\.csv"):
        Taxonomy.from_csv(tmp_path / "nowhere.csv")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_tree_or_a_taxonomy_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever is behind the header, the command prints a sentence and no traceback."""
    path = write(tmp_path_factory.getbasetemp(), HEADER.encode() + b"\n" + content)
    try:
        tree = Taxonomy.from_csv(path)
    except TaxonomyError:
        return
    assert tree.level(3)


TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
NAME = TEXT.map(lambda text: " ".join(text.split())).filter(bool)
SHELVES = st.dictionaries(st.integers(0, 2**48 - 1), st.tuples(NAME, NAME, NAME), min_size=1, max_size=6)


@settings(deadline=None)
@given(SHELVES)
def test_any_names_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, shelves: dict[int, tuple[str, str, str]]
) -> None:
    """Commas, quotes and accents survive the file: a tree read equals the tree written."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([COLUMNS, *((key, *names) for key, names in shelves.items())])
    tree = Taxonomy.from_csv(write(tmp_path_factory.getbasetemp(), text.getvalue()))
    assert tree == Taxonomy.from_shelves(shelves)
    for identity, (name1, name2, name3) in shelves.items():
        assert tree.by_id[identity] == Category(identity, 3, path_id(name1, name2), name3)
