"""One transaction a page: predictions, candidates and rejects, written so that a second time changes nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Connection,
    Delete,
    LargeBinary,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    cast,
    column,
    delete,
    func,
    select,
    tuple_,
    update,
    values,
)

from worker.contract.database import Database, among, among_given, pipelined
from worker.contract.errors import ModelUnfit
from worker.contract.product import Product
from worker.contract.settings import Settings
from worker.contract.tables import candidates, models, predictions, rejects
from worker.outcome import Outcome, Prediction, Side
from worker.rows import candidate_rows, prediction_row, reject_rows
from worker.upsert import insert, upsert


class NotRegistered(ModelUnfit):
    """The served model has no row in `models`: its predictions could not name it."""


class Store:
    """The SQL store as the worker writes it. Build it after fork."""

    def __init__(self, settings: Settings):
        self._model_name = settings.model_name
        self._database = Database(settings.database_url)
        self._model_ids: dict[int, int] = {}  # version -> models.id; a row of `models` never changes its id

    def close(self) -> None:
        """Close the pool."""
        self._database.close()

    def known(self, products: Sequence[Product], version: int) -> list[int]:
        """Return the ids that this model version already predicted: same pictures, same seller's shelf.

        Raises Unavailable when the database does not answer, NotRegistered when the model has no row.
        """
        if not products:
            return []
        listed = {product.id: (product.fingerprint, product.category_id) for product in products}
        with self._database.begin() as connection:
            query = select(predictions.c.product_id, predictions.c.fingerprint, predictions.c.listed_category_id).where(
                predictions.c.model_id == self._model_id(connection, version),
                among(connection, predictions.c.product_id, list(listed)),
            )
            found = connection.execute(query).all()
        return [each.product_id for each in found if tuple(each[1:]) == listed[each.product_id]]

    def copies(self, products: Sequence[Product], version: int) -> list[Prediction]:
        """Return predictions of those products whose pictures, byte for byte, this model version has seen before.

        No two of `products` may have the same pictures; two answers may be for one of them, when another page replaces
        pictures meanwhile. Raises as `known` does.
        """
        if not products:
            return []
        by_pictures = {product.fingerprint: product for product in products}
        with self._database.begin() as connection:
            model_id = self._model_id(connection, version)
            found = connection.scalars(_any_with(connection, model_id, list(by_pictures)))
            sources = [each for each in found if each is not None]
            rows = connection.execute(_answers(connection, model_id, sources)).all() if sources else []
        answers: dict[int, Prediction] = {}
        for row in rows:
            if row.fingerprint not in by_pictures:
                continue  # its pictures were replaced meanwhile
            answer = answers.setdefault(
                row.product_id,
                Prediction(
                    by_pictures[row.fingerprint],
                    version,
                    [],
                    (row.level2_id, row.level2_score),
                    (row.level1_id, row.level1_score),
                    row.picture_count,
                ),
            )
            answer.candidates.append((row.candidate_id, row.candidate_score))
        return list(answers.values())

    def model_id(self, version: int) -> int:
        """Return the key of a model version; raises NotRegistered when it has no row, Unavailable as `known` does."""
        with self._database.begin() as connection:
            return self._model_id(connection, version)

    def save(self, outcome: Outcome) -> None:
        """Write a page's outcome in one transaction; rows are sorted by key so that pages rarely deadlock.

        A prediction, new or known, removes the product's reject and becomes its latest: after a model is rolled back,
        what it knew counts again. Not so a shadow's: it changes nothing but itself. Raises as `known` does.
        """
        now = datetime.now(UTC)
        ordered = sorted(outcome.predictions, key=lambda each: each.product.id)
        is_shadow = outcome.side is Side.SHADOW
        with self._database.begin_writing() as connection:
            predicted = self._by_model(connection, ordered)
            if outcome.known and outcome.known_version is not None and not is_shadow:
                _renew(connection, outcome.known, self._model_id(connection, outcome.known_version))
            with pipelined(connection):
                if not is_shadow:
                    for model_id, product_ids in predicted:
                        _outdate(connection, product_ids, model_id)
                rows = [prediction_row(each, self._model_ids, outcome, now) for each in ordered]
                upsert(connection, predictions, rows, keep={"is_latest"} if is_shadow else ())
                for model_id, product_ids in predicted:  # nobody adds any meanwhile: the predictions are locked
                    _remove(connection, candidates, product_ids, model=model_id)
                rows = [row for each in ordered for row in candidate_rows(each, self._model_ids)]
                insert(connection, candidates, rows)
                upsert(connection, rejects, reject_rows(outcome, now), keep={"first_at"}, counted="attempts")
                if outcome.answered and not is_shadow:
                    _remove(connection, rejects, sorted(outcome.answered))

    def _by_model(self, connection: Connection, ordered: Sequence[Prediction]) -> list[tuple[int, list[int]]]:
        """Return the ids predicted with the key of their model: of two, when one took over amid the page."""
        found: dict[int, list[int]] = {}
        for each in ordered:
            found.setdefault(self._model_id(connection, each.model_version), []).append(each.product.id)
        return sorted(found.items())

    def _model_id(self, connection: Connection, version: int) -> int:
        if version not in self._model_ids:
            query = select(models.c.id).where(models.c.name == self._model_name, models.c.version == version)
            found = connection.scalar(query)
            if found is None:
                raise NotRegistered(
                    f"model {self._model_name} version {version} is served but not registered in "
                    f"{self._database.address}: publish it with shelver-trainer publish against this "
                    "SHELVER_DATABASE_URL"
                )
            self._model_ids[version] = found
        return self._model_ids[version]


def _outdate(connection: Connection, product_ids: Sequence[int], model_id: int) -> None:
    """Have no other model's prediction of these products be the latest; rows are locked in order of id."""
    connection.execute(_outdating(connection.dialect.name), {"products": product_ids, "model": model_id})


def _remove(connection: Connection, table: Table, product_ids: Sequence[int], **model: int) -> None:
    """Delete what there is of these products, of one model where the table has them."""
    connection.execute(_removing(connection.dialect.name, table), {"products": product_ids, **model})


# Statements are kept: they are the same for every page, and SQLAlchemy takes its time to make one.
@cache
def _outdating(dialect: str) -> Update:
    key = (predictions.c.product_id, predictions.c.model_id)
    replaced = (
        select(*key)
        .where(predictions.c.is_latest, among_given(dialect, key[0], "products"), key[1] != bindparam("model"))
        .order_by(key[0])
        .with_for_update()
    )
    return update(predictions).where(tuple_(*key).in_(replaced)).values(is_latest=False)


@cache
def _removing(dialect: str, table: Table) -> Delete:
    statement = delete(table).where(among_given(dialect, table.c.product_id, "products"))
    return statement.where(table.c.model_id == bindparam("model")) if "model_id" in table.c else statement


def _renew(connection: Connection, product_ids: Sequence[int], model_id: int) -> None:
    """Have the predictions of a model that is served again be the latest."""
    key = (predictions.c.product_id, predictions.c.model_id)
    found = select(key[0]).where(among(connection, key[0], product_ids), key[1] == model_id, ~predictions.c.is_latest)
    renewed = connection.scalars(found.order_by(key[0]).with_for_update()).all()
    if renewed:
        _outdate(connection, renewed, model_id)
        chosen = among(connection, key[0], renewed)
        connection.execute(update(predictions).where(chosen, key[1] == model_id).values(is_latest=True))


def _any_with(connection: Connection, model_id: int, fingerprints: Sequence[bytes]) -> Select[Any]:
    """Select one product for each fingerprint, however many have it; null for one that nobody has."""
    given: Any
    if connection.dialect.name == "postgresql":  # one parameter, and so one statement for any number of them
        array = func.unnest(cast(list(fingerprints), ARRAY(LargeBinary)))
        given = array.table_valued("fingerprint", name="given").render_derived()
    else:
        given = values(column("fingerprint", LargeBinary), name="given").data([(each,) for each in fingerprints]).cte()
    return select(
        select(predictions.c.product_id)
        .where(predictions.c.model_id == model_id, predictions.c.fingerprint == given.c.fingerprint)
        .limit(1)
        .scalar_subquery()
    ).select_from(given)


def _answers(connection: Connection, model_id: int, product_ids: Sequence[int]) -> Select[Any]:
    """Select whole answers of these products, a row for each candidate, best first.

    In one statement, because another page may be replacing an answer meanwhile.
    """
    same = and_(candidates.c.product_id == predictions.c.product_id, candidates.c.model_id == predictions.c.model_id)
    named = candidates.c.category_id.label("candidate_id"), candidates.c.score.label("candidate_score")
    return (
        select(predictions, *named)
        .join(candidates, same)
        .where(predictions.c.model_id == model_id, among(connection, predictions.c.product_id, product_ids))
        .order_by(candidates.c.rank)
    )
