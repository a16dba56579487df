"""A visit's register: marks and what they add up to, the file for spreadsheets, and an end to its memory."""

import csv
import io

import pytest

from deploy.console.classify.classifying import Answer, Item, Source
from deploy.console.classify.names import Name, called
from deploy.console.classify.register import MOST_ENTRIES, Accuracy, Entry, Mark, Register
from worker.contract.product import Product
from worker.outcome import Prediction

RANKED = {
    3: [(30, 0.5), (31, 0.25), (32, 0.125), (33, 0.0625), (34, 0.03125)],
    2: [(20, 0.75), (21, 0.25)],
    1: [(10, 0.987654321)],
}
NAMES = {10: Name("MAISON", "Home"), 20: Name("CUISINE"), 30: Name("Thé à l'été", "=1+1")}


def answer(name: str = "cup.jpg", best: int = 30, listed: int | None = None) -> Answer:
    ranked = {**RANKED, 3: [(best, 0.5), *RANKED[3][1:]]}
    product = Product(0, (b"picture",), listed)
    prediction = Prediction(product, 7, ranked[3], ranked[2][0], ranked[1][0], 1, ranked)
    return Answer(Item(Source.UPLOAD, name, (("cup.jpg", b"picture"),), listed), prediction, [b"small"] * 9)


def add(register: Register, *answers: Answer) -> list[Entry]:
    return [register.add(each, "shelver", 0.12345) for each in answers]


def lines(register: Register) -> list[dict[str, str]]:
    """The file as a spreadsheet reads it."""
    return list(csv.DictReader(io.StringIO(register.to_csv(NAMES).decode("utf-8-sig"))))


def test_an_entry_keeps_what_is_shown() -> None:
    """The best four of each level, at most four thumbnails, and none of the pictures themselves."""
    (entry,) = add(Register(), answer(listed=99))
    assert entry.listed_id == 99
    assert entry.ranked == {1: RANKED[1], 2: RANKED[2], 3: RANKED[3][:4]}
    assert (entry.category_id, entry.score, entry.model, entry.number) == (30, 0.5, "shelver 7", 1)
    assert entry.ranked_ids == {10, 20, 21, 30, 31, 32, 33}
    assert len(entry.thumbnails) == 4


def test_marks_add_up() -> None:
    """Overall and by predicted category, over what is marked alone; a mark can be changed and taken back."""
    register = Register()
    first, second, third, fourth = add(register, answer(), answer(), answer(best=31), answer(best=31))
    assert (register.accuracy(), register.accuracy().share, register.accuracy_by_category()) == (
        Accuracy(0, 0),
        None,
        {},
    )
    first.mark, second.mark, third.mark = Mark.RIGHT, Mark.WRONG, Mark.RIGHT
    assert register.accuracy() == Accuracy(3, 2)
    assert register.accuracy_by_category() == {30: Accuracy(2, 1), 31: Accuracy(1, 1)}
    second.mark, third.mark, fourth.mark = Mark.RIGHT, None, Mark.WRONG
    assert register.accuracy() == Accuracy(3, 2)
    assert register.accuracy_by_category() == {30: Accuracy(2, 2), 31: Accuracy(1, 0)}
    assert register.accuracy_by_category()[31].share == 0


def test_memory_ends() -> None:
    """The oldest make room, and numbers go on."""
    register = Register()
    add(register, *[answer()] * (MOST_ENTRIES + 2))
    assert [register.entries[0].number, register.entries[-1].number] == [3, MOST_ENTRIES + 2]
    assert len(lines(register)) == MOST_ENTRIES


def test_the_file_has_all_that_is_known() -> None:
    """One line an entry: ids, names in both languages, scores, the seller's category, the mark."""
    register = Register()
    add(register, answer(), answer(best=99, listed=30))[0].mark = Mark.WRONG
    first, second = lines(register)
    assert first.pop("tried_at").endswith("+00:00")
    assert first == {
        "number": "1",
        "source": "upload",
        "name": "cup.jpg",
        "pictures": "1",
        "model": "shelver 7",
        "level3_id": "30",
        "level3": "Thé à l'été",
        "level3_en": "'=1+1",
        "level3_score": "0.5",
        "level2_id": "20",
        "level2": "CUISINE",
        "level2_en": "",
        "level2_score": "0.75",
        "level1_id": "10",
        "level1": "MAISON",
        "level1_en": "Home",
        "level1_score": "0.987654",
        "listed_id": "",
        "listed": "",
        "listed_en": "",
        "mark": "wrong",
        "seconds": "0.123",
    }
    assert (second["level3_id"], second["level3"], second["listed"], second["mark"]) == ("99", "", "Thé à l'été", "")


def test_spreadsheets_see_the_accents() -> None:
    """They take a file for UTF-8 when it starts with the mark."""
    register = Register()
    add(register, answer("été.jpg"))
    assert register.to_csv(NAMES).startswith(b"\xef\xbb\xbfnumber,")
    assert "été.jpg".encode() in register.to_csv(NAMES)


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", " =1", "\t=1", "\r\n=1"])
def test_no_cell_is_a_formula(name: str) -> None:
    """What a file, an address or a category is called runs nothing on the analyst's machine."""
    register = Register()
    add(register, answer(name))
    assert lines(register)[0]["name"].startswith("'")
    assert name in lines(register)[0]["name"]


@pytest.mark.parametrize("name", ['a "b", c.jpg', "two\nlines", "a=b.jpg", "'quoted'"])
def test_other_names_come_through(name: str) -> None:
    """Commas, quotes and lines are the file's own business."""
    register = Register()
    add(register, answer(name))
    assert lines(register)[0]["name"] == name


def test_a_category_is_called_by_both_names() -> None:
    """And by its number where the store has no name."""
    assert (called(10, NAMES), called(20, NAMES), called(5, NAMES)) == ("MAISON · Home", "CUISINE", "5")
