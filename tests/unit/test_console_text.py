"""Names and figures as the console writes them; tests/integration/console/test_shell.py has a browser read them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.console.text import DIRECTIONS, JOINER, LONGEST_CHARACTERS, PUNCTUATION, both_names, percent, plain

ESCAPED = re.compile(r"\\(.)")


@given(st.text(st.characters(exclude_characters=JOINER, exclude_categories=["Cs"])))
def test_nothing_of_a_text_is_lost(text: str) -> None:
    """What is seen of it is there, on one line, and no character that Markdown knows is without its backslash."""
    shown = plain(text)
    assert ESCAPED.sub(r"\1", shown).replace(JOINER, "") == " ".join(DIRECTIONS.sub("", text).split())
    assert not PUNCTUATION.search(ESCAPED.sub("", shown))


@pytest.mark.parametrize("name", ["T-SHIRT - POLO", "CAFÉ / THÉ : 50% D'OCCASION", "mongodb://***@10.0.0.1:27017/"])
def test_ordinary_text_can_be_copied(name: str) -> None:
    """Nothing invisible is put where nothing is to be parted: who copies a name from the page finds it in SQL."""
    assert JOINER not in plain(name)


def test_no_name_turns_round_what_is_beside_it_or_fills_the_screen() -> None:
    """Overrides of direction are left out, and what is too long for any name ends in an ellipsis."""
    controls = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    assert plain(controls.join("TASSE")) == "TASSE"
    assert plain("x" * LONGEST_CHARACTERS) == "x" * LONGEST_CHARACTERS
    assert plain("x" * 3000) == "x" * (LONGEST_CHARACTERS - 1) + "…"


def test_a_category_has_one_name_or_two() -> None:
    """The French one, and the English one where it says more."""
    assert both_names("TASSE", "CUP") == "TASSE · CUP"
    assert both_names("SPORT", "SPORT") == both_names("SPORT", None) == "SPORT"


def test_shares_are_percentages() -> None:
    """With a digit, unless another number of them is asked for."""
    assert [percent(0.1234), percent(1, 0), percent(None)] == ["12.3 %", "100 %", "-"]
