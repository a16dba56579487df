"""What analysts decided reaches the trainer."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import bson
import pytest
from sqlalchemy import insert

from tests.pictures import listing
from trainer.index import build
from trainer.prepare.outline import outline
from trainer.prepare.selection import Recipe, SelectionError
from trainer.prepare.verdicts import read_verdicts
from trainer.publishing.registry import keep_categories
from worker import schema
from worker.contract.database import Database
from worker.contract.errors import Unavailable
from worker.contract.settings import Settings
from worker.contract.tables import verdicts
from worker.contract.taxonomy import Taxonomy, path_id
from worker.contract.verdicts import Decision

TREE = "category_id,category_level1,category_level2,category_level3\n10,A,B,C\n11,A,B,D\n"


def test_a_verdict_corrects_a_label(database_url: str, tmp_path: Path) -> None:
    """Stored by a person, read by `prepare --verdicts`, on either database."""
    categories = tmp_path / "names.csv"
    categories.write_text(TREE)
    schema.migrate(Settings(database_url=database_url))
    decided = {"category_id": 11, "reviewer": "ada", "decided_at": datetime.now(UTC)}
    with (
        closing(Database(Settings(database_url=database_url).database_url)) as database,
        database.begin() as connection,
    ):
        keep_categories(connection, Taxonomy.from_csv(categories).categories)
        connection.execute(insert(verdicts), [{"product_id": each, **decided} for each in (1, 3, 999)])
        undecided = {"decision": Decision.OPEN, "reviewer": "ada", "decided_at": datetime.now(UTC)}
        connection.execute(insert(verdicts).values(product_id=5, **undecided))
        connection.execute(insert(verdicts).values(product_id=2, **{**decided, "category_id": path_id("A", "B")}))
    dump = tmp_path / "train.bson"
    dump.write_bytes(b"".join(bson.encode(listing(each, b"%d" % each, category=10 + each // 3)) for each in range(6)))
    found = read_verdicts(database_url)
    assert found == {1: 11, 3: 11, 999: 11}, "5 is still being looked at, and 2 has no label"
    outlined = outline(build(dump), categories, Recipe(validation=0, test=0), found)
    assert outlined.selection.labels.tolist() == [0, 1, 0, 1, 1, 1]
    assert outlined.selection.corrected == 1


def test_a_store_that_is_none_is_told(tmp_path: Path) -> None:
    """Another kind of URL, or a store without tables: one sentence, and no password in it."""
    with pytest.raises(SelectionError, match="--verdicts must be sqlite or postgresql, not mysql") as caught:
        read_verdicts("mysql://me:secret@host/x")
    assert "secret" not in str(caught.value)
    with pytest.raises(Unavailable, match="shelver-worker migrate"):
        read_verdicts(f"sqlite:///{tmp_path / 'new.db'}")
