"""What analysts ask, on SQLite and on PostgreSQL."""

import math
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select, update

from tests.integration.questions import (
    AFTER,
    ASSIGNMENTS,
    BALL,
    BEFORE,
    BIKE,
    CUP,
    HOUSE,
    KITCHEN,
    LAMP,
    LAMP_NAME,
    LARGEST,
    PLATE,
    ROWS,
    SPORTS,
    model_id,
    stored,
)
from worker.contract import views
from worker.contract.database import Database
from worker.contract.errors import Unavailable
from worker.contract.rejects import Reason
from worker.contract.settings import Settings
from worker.contract.tables import predictions, verdicts
from worker.questions import comparison, disagreements, drift, models, reliability, selection, shelves, summary
from worker.questions.reliability import Bin, Covered
from worker.questions.selection import Selection
from worker.questions.shelves import NoSuchCategory

#: latest predictions that are elsewhere than the seller's category, and those that are not
DISAGREE = {12, 17, 18, 19, 20, 21, LARGEST, 33, 35, 103, 107}
AGREE = {11, 13, 16, 22, 23, 31, 32, 101, 102, 104, 105, 106}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with stored(request.param, request, tmp_path_factory) as settings:
        yield settings


@pytest.fixture(scope="module")
def database(settings: Settings) -> Iterator[Database]:
    with closing(Database(settings.database_url, read_only=True)) as database:
        yield database


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.begin() as connection:
        yield connection


def ids(connection: Connection, chosen: Selection) -> set[int]:
    rows = list(selection.stream(connection, chosen))
    assert len(rows) == selection.count(connection, chosen)
    assert len(rows) == len(selection.page(connection, chosen, 100))
    return {row.product_id for row in rows}


def test_an_assignment_is_the_verdict_or_the_deepest_level_that_clears(connection: Connection) -> None:
    """Thresholds may be null, a score at its threshold clears it, and a skipped or open verdict decides nothing."""
    view = views.assignments.c
    rows = {row.product_id: row for row in connection.execute(select(views.assignments))}
    assert {each: row.assignment for each, row in rows.items()} == ASSIGNMENTS
    assert [rows[each].category_id for each in (11, 12, 13, 14, 19, 20)] == [CUP, KITCHEN, HOUSE, None, BALL, BIKE]
    assert (rows[19].reviewer, rows[19].level, rows[20].reviewer) == ("ada", 3, None)
    assert connection.scalar(select(view.category_en).where(view.product_id == 12)) == "KITCHEN"


@pytest.mark.parametrize("assignment", selection.ASSIGNMENTS)
def test_a_selection_by_assignment_is_what_the_view_says(connection: Connection, assignment: str) -> None:
    """Two ways to say the rule, one for people and one for indices, come to the same."""
    assert ids(connection, Selection(assignment=assignment)) == {
        each for each, assigned in ASSIGNMENTS.items() if assigned == assignment
    }


def test_assignments_go_without_a_model() -> None:
    """They are of the latest prediction, and of five kinds."""
    for wrong in ({"assignment": "level3", "model_id": 1}, {"assignment": "level4"}):
        with pytest.raises(ValueError, match="must be one of verdict, level3, level2, level1, review"):
            Selection(**wrong)


def test_the_latest_prediction_counts_unless_a_model_is_named(connection: Connection) -> None:
    """A product that a second model predicted is there once; the first one's answer stays its own."""
    rows = {row.product_id: row for row in selection.stream(connection, Selection())}
    assert set(rows) == set(ASSIGNMENTS)
    assert (rows[32].version, rows[32].category_id, rows[32].category_en) == (2, PLATE, "PLATE")
    old = Selection(model_id=model_id(connection, "old"))
    assert {row.product_id: row.category_id for row in selection.stream(connection, old)}[32] == CUP
    assert ids(connection, old) == {each.product_id for each in ROWS if each.model == "old"}


def test_filters_add_up(connection: Connection) -> None:
    """A category of any level with the score of that level, and the time of writing, its end not included."""
    house = Selection(category_id=HOUSE, level=1, min_score=0.9, max_score=0.95)
    assert ids(connection, house) == {12, 16, 17, 18}
    assert ids(connection, Selection(category_id=KITCHEN, level=2, max_score=0.5)) == {14}
    assert ids(connection, Selection(category_id=LAMP, min_score=0.95)) == {34, 35}
    assert ids(connection, Selection(since=BEFORE, until=AFTER)) == {101, 102, 103, 104}
    assert ids(connection, Selection(since=AFTER, until=AFTER + timedelta(1), disagrees=True)) == {107}
    assert ids(connection, Selection(category_id=-1)) == set()


def test_disagreement_is_at_the_models_own_level(connection: Connection) -> None:
    """A model of level 2 agrees with a seller below its category; one who is in no tree agrees with nobody."""
    assert ids(connection, Selection(disagrees=True)) == DISAGREE
    assert ids(connection, Selection(disagrees=False)) == AGREE
    rows = {row.product_id: row for row in connection.execute(select(views.disagreements))}
    assert set(rows) == DISAGREE
    assert [rows[each].differs_at for each in (12, 17, 18, 19)] == [3, 2, None, 1]
    assert rows[17].listed_level2_en == "KITCHEN"


def test_disagreements_are_ranked_and_decided_ones_left_out(connection: Connection) -> None:
    """The surest first, ties by id; what was skipped or is looked at now is still open."""
    found = [row.product_id for row in disagreements.ranked(connection)]
    assert found == [33, 35, 103, 20, 21, LARGEST, 12, 17, 18]
    everything = disagreements.ranked(connection, undecided=False)
    assert {row.product_id for row in everything} == DISAGREE
    some = disagreements.ranked(connection, SPORTS, 1, min_score=0.5, limit=1)
    assert [row.product_id for row in some] == [20]


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_pages_meet_every_row_once(connection: Connection, level: int, size: int) -> None:
    """However many products have one score, by score, then id."""
    chosen, found, after = Selection(level=level), [], None
    while rows := selection.page(connection, chosen, size, after):
        found += rows
        after = selection.place(chosen, rows[-1])
    places = [selection.place(chosen, row) for row in found]
    assert places == sorted(places, key=lambda each: (-each[0], each[1]))
    assert {row.product_id for row in found} == set(ASSIGNMENTS)
    assert len(found) == len(ASSIGNMENTS)


def test_counting_stops_where_it_is_told(connection: Connection) -> None:
    """A page that says "more than" need not count a million."""
    assert selection.count(connection, Selection(), 3) == 3
    assert selection.count(connection, Selection(), None) == len(ASSIGNMENTS)


def test_a_stream_is_whole_over_many_fetches(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order of id, the largest there is included, with the columns of the view or those that are asked for."""
    monkeypatch.setattr(selection, "FETCHED", 4)
    rows = list(selection.stream(connection, Selection()))
    assert [row.product_id for row in rows] == sorted(ASSIGNMENTS)
    assert list(rows[0]._mapping) == list(views.latest_predictions.c.keys())
    assert rows[-1].category == LAMP_NAME
    assert list(selection.stream(connection, Selection(), ("product_id", "category_id"), 1)) == [(11, CUP)]


def test_shelves_are_searched_in_both_languages(connection: Connection) -> None:
    """Every word somewhere in the path, whatever its case and accents; or the id."""

    def found(words: str, level: int | None = None) -> list[str]:
        return [each.path for each in shelves.matching(shelves.tree(connection, level), words)]

    assert found("velo SPORT") == ["SPORT > CYCLE > VÉLO ÉLECTRIQUE"]
    assert found("house cup") == ["MAISON > CUISINE > TASSE"]
    assert found("maison", level=2) == ["MAISON > SALON", "MAISON > CUISINE"]
    assert found(str(CUP)) == ["MAISON > CUISINE > TASSE"]
    assert found("<b>") == [f"MAISON > SALON > {LAMP_NAME}"]
    assert found("tasse velo") == []
    assert len(found("")) == 11


def test_a_shelf_is_named_by_id_name_or_path(connection: Connection) -> None:
    """In either language; the English path is there once all of it is translated."""
    for text in (f" {CUP} ", "tasse", "Cup", "maison>cuisine>tasse", "HOUSE > KITCHEN > CUP"):
        assert shelves.shelf(connection, text).category_id == CUP
    cup, ball = shelves.shelf(connection, "1"), shelves.shelf(connection, "ballon", 3)
    assert (cup.path_en, cup.name_en, cup.level) == ("HOUSE > KITCHEN > CUP", "CUP", 3)
    assert (ball.category_id, ball.path_en, ball.name_en) == (BALL, None, None)
    assert shelves.shelf(connection, LAMP_NAME).category_id == LAMP


def test_a_name_that_is_none_or_several_is_told(connection: Connection) -> None:
    """With the ids to choose from, or what it may have been meant for."""
    with pytest.raises(
        NoSuchCategory, match=rf"'ballon' is the name of 2 categories.*\d+ SPORT > BALLON; {BALL} SPORT"
    ):
        shelves.shelf(connection, "ballon")
    with pytest.raises(NoSuchCategory, match=f"'asiette': did you mean {PLATE} MAISON > CUISINE > ASSIETTE"):
        shelves.shelf(connection, "asiette")
    with pytest.raises(NoSuchCategory, match=f"'electrique' at level 3: did you mean {BIKE} SPORT"):
        shelves.shelf(connection, "electrique", 3)
    with pytest.raises(NoSuchCategory, match="no category is named '99999999999999999999': the view category_paths"):
        shelves.shelf(connection, "9" * 20)


def test_a_model_is_named_by_its_version(connection: Connection) -> None:
    """Of the name in the settings, unless another stands before it; who errs is told what there is."""
    assert [str(each) for each in models.versions(connection)][:2] == ["shelver:3", "shelver:2"]
    found = models.version(connection, "1", "shelver")
    assert (found.id, found.level, found.thresholds) == (model_id(connection, "old"), 3, {1: 0.5, 2: 0.7, 3: 0.9})
    assert models.version(connection, "other:1", "shelver").thresholds == {1: None, 2: None, 3: None}
    for text in ("9", "shelver", "nobody:1", "1:shelver", ""):
        with pytest.raises(models.NoSuchModel, match="write NAME:VERSION, as one of shelver:3, shelver:2"):
            models.version(connection, text, "shelver")


def test_the_summary_counts_everything_once(connection: Connection) -> None:
    """Products by assignment, days with their lag, rejects by reason."""
    counted = summary.assigned(connection)
    assert counted == {each: list(ASSIGNMENTS.values()).count(each) for each in selection.ASSIGNMENTS}
    assert summary.assigned(connection, BEFORE, AFTER) == {**dict.fromkeys(selection.ASSIGNMENTS, 0), "review": 4}
    (first,) = summary.days(connection, BEFORE, AFTER)
    assert (first.day, first.model, first.predictions, first.mean_lag_seconds) == (BEFORE.date(), "other", 4, 0)
    assert next(row.predictions for row in summary.days(connection, AFTER)) == 4
    assert sum(row.predictions for row in summary.days(connection, BEFORE)) == len(ROWS)
    ((reason, count, last),) = summary.rejects(connection)
    assert (reason, count) == (Reason.NO_PICTURES, 2)
    assert datetime.now(UTC) - last < timedelta(hours=1)


def test_models_are_compared_on_what_both_predicted(connection: Connection) -> None:
    """And judged where a verdict or the seller says what is true."""
    old, new = model_id(connection, "old"), model_id(connection, "new")
    found = comparison.compare(connection, old, new)
    assert (found.both, found.labelled) == (5, 3)
    assert found.same == {1: 5, 2: 4, 3: 2}
    assert found.old_right == {1: 3, 2: 3, 3: 2}
    assert found.new_right == {1: 3, 2: 3, 3: 2}
    assert comparison.compare(connection, old, model_id(connection, "other")).both == 0


def test_models_are_compared_on_the_same_pictures(settings: Settings) -> None:
    """A product that was listed anew between the two says nothing of either."""
    with closing(Database(settings.database_url)) as database, database.engine.connect() as connection:
        old, new = model_id(connection, "old"), model_id(connection, "new")
        listed_anew = (predictions.c.product_id == 32, predictions.c.model_id == new)
        connection.execute(update(predictions).where(*listed_anew).values(fingerprint=b"16 other bytes.."))
        found = comparison.compare(connection, old, new)
        assert (found.both, found.same[3]) == (4, 2)
        (row,) = comparison.flips(connection, old, new)
        assert (row.category_id, row.products, row.flipped) == (CUP, 3, 2)
        drifted = drift.between_models(connection, old, new, 3)
        assert (drifted.before, drifted.after) == (4, 4)
        connection.rollback()


def test_flips_name_what_products_left_and_where_they_went(connection: Connection) -> None:
    """By the old model's category; one that kept all its products is not among them."""
    old, new = model_id(connection, "old"), model_id(connection, "new")
    (row,) = comparison.flips(connection, old, new)
    assert tuple(row) == (CUP, "TASSE", "CUP", 4, 3, 0.75, PLATE, "ASSIETTE", "PLATE", 2)
    (row,) = comparison.flips(connection, old, new, level=2)
    assert (row.category_en, row.products, row.flipped, row.new_category) == ("KITCHEN", 4, 1, "SALON")
    assert comparison.flips(connection, old, new, level=1) == []


def test_drift_is_the_population_stability_index(connection: Connection) -> None:
    """By hand: three quarters and one become one and three; scores that were none count as a ten-thousandth."""
    found = drift.drift(connection, (BEFORE, AFTER), (AFTER, AFTER + timedelta(7)))
    assert (found.before, found.after) == (4, 4)
    assert found.psi_categories == pytest.approx(2 * 0.5 * math.log(3))
    assert found.psi_scores == pytest.approx(0.5 * math.log(2) + 0.4999 * math.log(0.5 / 0.0001))
    assert (found.chance_categories, found.chance_scores) == (0.5, 0.5)
    parts = {each.name: (each.part.before, each.part.after) for each in found.categories}
    assert parts == {"MAISON": (3, 1), "SPORT": (1, 3)}
    assert [(each.low, each.high, each.part.before_share) for each in found.scores] == [(0.1, 0.2, 0), (0.9, 1.0, 1)]


def test_drift_between_models_is_of_what_both_predicted(connection: Connection) -> None:
    """The same products on either side, so that chance has no part in it."""
    old, new = model_id(connection, "old"), model_id(connection, "new")
    found = drift.between_models(connection, old, new, 3)
    assert found.before == found.after == comparison.compare(connection, old, new).both > 0
    assert (found.chance_categories, found.chance_scores) == (None, None)
    assert sum(each.part.before for each in found.categories) == sum(each.part.after for each in found.scores)
    assert drift.between_models(connection, old, 99).psi_categories is None


def test_a_comparison_may_leave_out_what_the_new_model_predicted_before(connection: Connection) -> None:
    """Of the same products in every part of it; nothing is left after all of them."""
    old, new = model_id(connection, "old"), model_id(connection, "new")
    means = comparison.mean_scores(connection, old, new)
    assert all(0 < each < 1 for each in means if each is not None)
    assert comparison.mean_scores(connection, new, old) == pytest.approx(means[::-1])
    for since, all_of_them in ((BEFORE, True), (datetime.now(UTC) + timedelta(1), False)):
        assert bool(comparison.compare(connection, old, new, since).both) == all_of_them
        assert bool(comparison.flips(connection, old, new, since=since)) == all_of_them
        assert (comparison.mean_scores(connection, old, new, since=since) == pytest.approx(means)) == all_of_them
        found = drift.between_models(connection, old, new, 3, since)
        assert found.before == found.after == comparison.compare(connection, old, new, since).both


def test_drift_can_be_of_one_model_and_has_no_index_without_products(connection: Connection) -> None:
    """An empty span is no drift."""
    spans = (BEFORE, AFTER), (AFTER, AFTER + timedelta(7))
    assert drift.drift(connection, *spans, 3, model_id(connection, "other")).before == 4
    found = drift.drift(connection, *spans, 3, model_id(connection, "old"))
    assert (found.before, found.after, found.psi_categories, found.chance_scores) == (0, 0, None, None)


def test_reliability_goes_by_verdicts_then_sellers(connection: Connection) -> None:
    """Bins of score; a product that nobody labelled is in none, and 1 is in the last."""
    other = model_id(connection, "other")
    low, high = reliability.bins(connection, 3, other)
    assert (low.low, low.high, low.products, low.right) == (0.15, 0.16, 2, 2)
    assert (high.low, high.high, high.products, high.right) == (0.95, 0.96, 5, 4)
    assert high.mean_score == pytest.approx(0.95)
    assert [each.right for each in reliability.bins(connection, 1, other)] == [2, 5]
    assert [each.products for each in reliability.bins(connection, 3, other, AFTER)] == [2, 1]
    *_, last = reliability.bins(connection, 3, model_id(connection, "old"), number=10)
    assert (last.low, last.high, last.products) == (0.9, 1.0, 6)
    assert reliability.bins(connection, 3, model_id(connection, "coarse")) == []
    assert sum(each.products for each in reliability.bins(connection, 2, model_id(connection, "coarse"))) == 2


def test_categories_are_judged_one_by_one(connection: Connection) -> None:
    """Where the model puts products, and how many of them belong there."""
    rows = reliability.by_category(connection, 3, model_id(connection, "other"))
    assert [tuple(row)[:6] for row in rows] == [
        (CUP, "TASSE", "CUP", 4, 3, 0.75),
        (BALL, "BALLON", None, 3, 3, 1.0),
    ]
    assert [row.category for row in reliability.by_category(connection, 1, limit=1)] == ["MAISON"]


def test_coverage_is_the_share_above_the_lowest_good_threshold() -> None:
    """Of too few products nothing is said."""
    bins = [Bin(0.2, 0.3, 50, 0.25, 10), Bin(0.8, 0.9, 30, 0.85, 24), Bin(0.9, 1.0, 20, 0.95, 20)]
    assert reliability.coverage(bins, 0.85) == Covered(0.8, 0.5, 0.88)
    assert reliability.coverage(bins, 1) == Covered(0.9, 0.2, 1)
    assert reliability.coverage(bins, 0.5) == Covered(0.2, 1, 0.54)
    assert reliability.coverage(bins[:1], 0.9) is None
    assert reliability.coverage([Bin(0.9, 1.0, 19, 0.95, 19)], 0.9) is None
    assert reliability.coverage([], 0.9) is None


def test_who_only_reads_cannot_write(database: Database) -> None:
    """The server itself refuses."""
    with pytest.raises(Unavailable, match="read.?only"), database.begin() as connection:
        connection.execute(verdicts.delete())
