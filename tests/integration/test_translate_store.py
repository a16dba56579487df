"""English names in the SQL store, on SQLite and on PostgreSQL."""

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from tests.integration.conftest import TREE, register
from trainer.cli import app
from trainer.run import Run
from worker import schema
from worker.contract.database import Database
from worker.contract.errors import Unavailable
from worker.contract.settings import Settings
from worker.contract.tables import categories
from worker.contract.taxonomy import path_id

HEADER = "category_id,level,name,name_en\n"
NAMES = f'{HEADER}1000000001,3,TASSE,Cup\n{path_id("SPORT")},1,SPORT,"Sports, games"\n77,3,OLD,Old\n'


@pytest.fixture
def settings(database_url: str) -> Settings:
    settings = Settings(database_url=database_url)
    schema.migrate(settings)
    return settings


def translate(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, names: str | None = NAMES) -> str:
    """Store the names that are in the file; return what was said."""
    tree, file = tmp_path / "tree.csv", tmp_path / "names.csv"
    tree.write_text(TREE)
    if names is not None:
        file.write_text(names)
    monkeypatch.setenv("SHELVER_DATABASE_URL", url)
    arguments = ["translate", "--categories", str(tree), "-o", str(file), "--offline", "--store"]
    return CliRunner().invoke(app, arguments, catch_exceptions=False).output


def stored(url: str) -> dict[int, tuple[str, str | None]]:
    with closing(Database(url)) as database, database.begin() as connection:
        return {row.id: (row.name, row.name_en) for row in connection.execute(select(categories))}


def test_names_come_into_an_empty_store(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """All categories of the tree are there, parents included, with the English names that are known."""
    said = translate(tmp_path, settings.database_url, monkeypatch)
    found = stored(settings.database_url)
    assert len(found) == 12
    assert found[1000000001] == ("TASSE", "Cup")
    assert found[path_id("SPORT")] == ("SPORT", "Sports, games")
    assert found[1000000002] == ("ASSIETTE", None)
    assert "10 names lack a translation" in said
    assert "1 rows are of no category" in said
    assert "stored in" in said


def test_publishing_and_translating_keep_each_other(
    tmp_path: Path, settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In either order: names come to categories that are there, and publishing blanks none, renamed or not."""
    url = settings.database_url
    register(run, settings, 1)
    assert stored(url)[1000000001] == ("TASSE", None)
    translate(tmp_path, url, monkeypatch)
    assert stored(url)[1000000001] == ("TASSE", "Cup")
    register(run, settings, 2)
    assert stored(url)[1000000001] == ("TASSE", "Cup")
    renamed = Run(**{**vars(run), "folder": tmp_path})
    (tmp_path / "category_names.csv").write_text(TREE.replace("TASSE", "MUG").replace("LAMPE", "LAMPES"))
    register(renamed, settings, 3)
    assert stored(url)[1000000001] == ("MUG", "Cup")
    assert stored(url)[1000000003] == ("LAMPES", None)
    assert len(stored(url)) == 12


def test_an_edit_replaces_and_an_empty_name_does_not(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the file comes into the store; what is not leaves it as it is."""
    url = settings.database_url
    translate(tmp_path, url, monkeypatch)
    translate(tmp_path, url, monkeypatch, NAMES.replace("Cup", "Mugs & cups").replace('"Sports, games"', ""))
    assert stored(url)[1000000001] == ("TASSE", "Mugs & cups")
    assert stored(url)[path_id("SPORT")] == ("SPORT", "Sports, games")


def test_a_store_without_tables_is_told(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the remedy; the file has what was translated."""
    with pytest.raises(Unavailable, match="run shelver-worker migrate"):
        translate(tmp_path, database_url, monkeypatch)
    assert "Cup" in (tmp_path / "names.csv").read_text()
