"""Which products a new model is tried out on, and by what it is judged."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.contract.product import INT64_LIMIT
from worker.outcome import Side
from worker.questions.comparison import Comparison
from worker.questions.rollout import Judgement, Limits, Measured, judge
from worker.rollout import OFF, Answered, Rollout, place

IDS = st.integers(-INT64_LIMIT, INT64_LIMIT - 1)
SHARES = st.floats(0, 1, exclude_min=True)
TRIED = st.sampled_from([Side.CANARY, Side.SHADOW])
LIMITS = Limits(100, 0.15, {1: 0.92, 2: 0.88}, 0.02, 0.25, 0.95, 1.5)


def test_a_products_place_is_the_same_for_ever() -> None:
    """Whichever process, machine or Python asks: else a product would go back and forth between two models."""
    places = {0: 0.7630608777969262, 1: 0.09558505983771337, -1: 0.7444204469551079, 1000000001: 0.3730385818440063}
    assert {each: place(each) for each in places} == pytest.approx(places, abs=1e-15)
    code = "from worker.rollout import place; print(place(1000000001))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert told == {f"{place(1000000001)}\n"}


def test_a_share_is_that_share_of_the_products() -> None:
    """Of ids that follow one another, as catalogs give them, in every part of the range."""
    ids = range(5_000_000, 5_100_000)
    for share in (0.01, 0.05, 0.5):
        assert sum(map(Rollout(Side.CANARY, share).includes, ids)) == pytest.approx(100_000 * share, rel=0.05)
    tenths = [sum(low <= place(each) < low + 0.1 for each in ids) for low in (0, 0.3, 0.6, 0.9)]
    assert tenths == pytest.approx([10_000] * 4, rel=0.05)


@given(IDS, SHARES, SHARES)
def test_a_larger_share_has_all_of_a_smaller_one(product_id: int, one: float, other: float) -> None:
    """Who raises the share moves nobody back; all of the products are all of them, and none is none."""
    less, more = sorted((one, other))
    assert Rollout(Side.CANARY, less).includes(product_id) <= Rollout(Side.SHADOW, more).includes(product_id)
    assert Rollout(Side.CANARY, 1.0).includes(product_id)
    assert not OFF.includes(product_id)


@given(TRIED, SHARES, st.none() | st.integers(0, 2**31))
def test_a_rollout_is_read_as_it_was_written(side: Side, share: float, version: int | None) -> None:
    """To the last digit: workers and the command agree on each product."""
    assert Rollout.from_text(Rollout(side, share, version).to_text()) == Rollout(side, share, version)


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "canary", "canary 0", "canary 2", "canary nan", "canary -0.1", "stable 1", "blue 0.5"),
        *("canary 0.1 0.2", "canary 0.1 two", "canary 0.1 2 3"),
    ],
)
def test_what_is_no_rollout_is_none(text: str | None) -> None:
    """Whoever wrote it: no page stops for it, and every product is the stable model's."""
    assert Rollout.from_text(text) == OFF
    assert str(OFF) == OFF.mode == "off"


def test_a_rollout_is_told_in_percent() -> None:
    """As a person would say it."""
    assert str(Rollout(Side.CANARY, 0.05)) == "canary, 5 % of the products"
    assert str(Rollout(Side.SHADOW, 0.0001)) == "shadow, 0.01 % of the products"


def test_a_rollout_tells_that_its_label_has_moved() -> None:
    """As long as it is on: then nobody is asked, and a person is needed."""
    rollout = Rollout(Side.CANARY, 0.05, 2)
    assert rollout.told(3) == "canary, 5 % of the products, of version 2; canary is version 3 now: run it again"
    assert rollout.told(2) == rollout.told(None) == Rollout(Side.CANARY, 0.05).told(3) == str(rollout)
    assert OFF.told(3) == "off"


def measured(both: int = 1000, labelled: int = 1000, level: int = 3, **changes: dict[int, int]) -> Measured:
    numbers = {
        "same": {1: 950, 2: 920, 3: 900},
        "old_right": {1: 900, 2: 800, 3: 700},
        "new_right": {1: 900, 2: 800, 3: 690},
    }
    return Measured(
        level, Comparison(both, labelled=labelled, **numbers | changes), [], 0.1 if both else None, (0.7, 0.8)
    )


def values(judgement: Judgement) -> dict[str, float]:
    return {each.name: each.value for each in judgement.criteria}


def failed(judgement: Judgement) -> list[str]:
    found = [each.name for each in judgement.criteria if not each.passed]
    assert judgement.passed == (not found)
    return found


def not_judged(judgement: Judgement) -> dict[str, str]:
    return {each.name: each.why for each in judgement.not_judged}


def test_a_canary_is_judged_by_each_limit() -> None:
    """All that was measured is in it; a value at its limit passes."""
    found = judge(measured(), LIMITS, Answered(2, 200, 190), 1.5)
    assert values(found) == pytest.approx(
        {
            **{"products": 1000, "flips": 0.1, "agreement at level 1": 0.95, "agreement at level 2": 0.92},
            **{"loss of right answers": 0.01, "score shift (PSI)": 0.1, "answered": 0.95, "latency ratio": 1.5},
        }
    )
    assert failed(found) == []
    assert not_judged(found) == {}
    changed = measured(same={1: 910, 2: 870, 3: 840}, new_right={1: 0, 2: 0, 3: 670})
    worse = judge(changed, LIMITS, Answered(2, 200, 189), 1.51)
    assert failed(worse) == [
        *("flips", "agreement at level 1", "agreement at level 2"),
        *("loss of right answers", "answered", "latency ratio"),
    ]


def test_too_few_products_fail_and_what_cannot_be_judged_is_told() -> None:
    """Nothing is promoted on hope; who is right is judged where enough is known, latency where it was measured."""
    assert failed(judge(measured(both=99, labelled=0, same={1: 99, 2: 99, 3: 99}), LIMITS)) == ["products"]
    nothing = judge(measured(both=0, labelled=0), LIMITS)
    assert values(nothing) == {"products": 0}
    assert not_judged(nothing)["flips"] == not_judged(nothing)["score shift (PSI)"] == "there are no products of both"
    assert not_judged(judge(measured(labelled=99), LIMITS)) == {
        "loss of right answers": "the category of 99 products is known, fewer than 100",
        "answered": "no rollout of it is known of",
        "latency ratio": "it was not measured",
    }


def test_a_canary_that_was_asked_nothing_has_answered_nothing() -> None:
    """Else one that no worker asks would pass on what an earlier rollout has left."""
    assert failed(judge(measured(), LIMITS, Answered(2))) == ["answered"]


def test_a_canary_is_judged_at_the_finest_level_that_both_know() -> None:
    """A model that knows no categories of level 3 flips none there."""
    found = values(judge(measured(level=2, same={1: 950, 2: 900, 3: 0}), LIMITS))
    assert found["flips"] == pytest.approx(0.1)
    assert "agreement at level 2" not in found
