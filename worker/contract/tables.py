"""The SQL store: one MetaData, SQLite by default, PostgreSQL for real. Alembic (migrations/) makes it.

Comments are for analysts, and go to PostgreSQL as well. What they query is worker.contract.views.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Enum,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    true,
)

from worker.contract.messages import Queue
from worker.contract.rejects import Reason
from worker.contract.verdicts import Decision

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no time zone, so it is taken off on the way in and put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: they would be read as another moment elsewhere."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone: the store keeps UTC only")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give every moment its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _enum(kind: type) -> Enum:
    """Return a column of the enum's values as text: a new member needs no migration."""
    return Enum(kind, native_enum=False, length=32, values_callable=lambda members: [each.value for each in members])


def _product_id(comment: str = "the product, by its id in the catalog") -> "Column[int]":
    return Column("product_id", BigInteger, primary_key=True, autoincrement=False, comment=comment)


def _category(name: str, comment: str, **options: Any) -> "Column[int]":
    return Column(name, BigInteger, ForeignKey("categories.id"), comment=comment, **options)


def _moment(name: str, comment: str) -> "Column[datetime]":
    return Column(name, UtcDateTime, nullable=False, comment=comment)


categories = Table(
    "categories",
    metadata,
    Column(
        "id", BigInteger, primary_key=True, autoincrement=False, comment="level 3: the catalog's; 1, 2: of the path"
    ),
    Column("level", SmallInteger, nullable=False, comment="1, 2 or 3, which is the finest"),
    _category("parent_id", "the category above it, null at level 1", index=True),
    Column("name", Text, nullable=False, comment="its name in French, as the catalog writes it; names repeat"),
    Column("name_en", Text, comment="its name in English, null until translated"),
    comment="Nodes of the category tree; ids of levels 1 and 2 are stable hashes of their full path.",
)

models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True, comment="the key that predictions name a model by"),
    Column("name", String(100), nullable=False, comment="as TensorFlow Serving names it"),
    Column("version", Integer, nullable=False, comment="grows with every publication of the name"),
    Column("level", SmallInteger, nullable=False, comment="level of its classes, the finest it predicts"),
    Column("picture_side", SmallInteger, nullable=False, comment="of the square it looks at, in pixels"),
    Column("metrics", JSON, nullable=False, comment="scores on test products, which it was not trained on, by name"),
    *(
        Column(
            f"threshold_level{level}",
            Float,
            comment=f"scores of level {level} from here on are an assignment; null where none is right often enough",
        )
        for level in (1, 2, 3)
    ),
    _moment("published_at", "when the trainer registered it"),
    UniqueConstraint("name", "version"),
    comment="Every published model.",
)

predictions = Table(
    "predictions",
    metadata,
    _product_id(),
    Column("model_id", Integer, ForeignKey("models.id"), primary_key=True, comment="the model that made it"),
    _category("category_id", "best category of the model's own level", nullable=False),
    Column("score", Float, nullable=False, comment="its probability, 0 to 1"),
    Column("margin", Float, nullable=False, comment="score of rank 1 less score of rank 2"),
    _category("level2_id", "best category of level 2, by the sum of what is below it", nullable=False),
    Column("level2_score", Float, nullable=False, comment="its probability, 0 to 1"),
    _category("level1_id", "best category of level 1, by the sum of what is below it", nullable=False),
    Column("level1_score", Float, nullable=False, comment="its probability, 0 to 1"),
    Column("picture_count", SmallInteger, nullable=False, comment="pictures averaged, unsound ones left out"),
    Column("fingerprint", LargeBinary(16), nullable=False, comment="BLAKE2b of the product's pictures in order"),
    Column("listed_category_id", BigInteger, comment="the seller's category, in the tree or not; null without"),
    Column("queue", _enum(Queue), nullable=False, comment="new: a person waited; backfill: nobody did"),
    _moment("queued_at", "when the product was enqueued"),
    _moment("predicted_at", "when the row was written"),
    Column(
        "is_latest",
        Boolean,
        nullable=False,
        server_default=true(),
        comment="whether it is the product's latest: of the model that was asked last",
    ),
    Index(None, "model_id", "fingerprint"),
    Index(None, "category_id", "score"),
    Index(None, "level2_id", "level2_score"),
    Index(None, "level1_id", "level1_score"),
    Index(None, "predicted_at", "queued_at", "model_id", "queue"),
    comment="A product's best category under one model.",
)
#: in the words of each database's own queries, or SQLite would not see that an index serves them
LATEST: dict[str, Any] = {
    "postgresql_where": predictions.c.is_latest,
    "sqlite_where": predictions.c.is_latest == true(),
}
Index("uq_predictions_latest_product_id", predictions.c.product_id, unique=True, **LATEST)
Index("ix_predictions_latest_score", predictions.c.score, **LATEST)

candidates = Table(
    "candidates",
    metadata,
    _product_id(),
    Column("model_id", Integer, primary_key=True, comment="the model that ranked it"),
    Column("rank", SmallInteger, primary_key=True, autoincrement=False, comment="1 is the best"),
    _category("category_id", "the category at this rank, of the model's own level", nullable=False),
    Column("score", Float, nullable=False, comment="its probability, 0 to 1"),
    ForeignKeyConstraint(
        ["product_id", "model_id"], ["predictions.product_id", "predictions.model_id"], ondelete="CASCADE"
    ),
    comment="The ranked top-k of a prediction.",
)

rejects = Table(
    "rejects",
    metadata,
    _product_id("the product; for an id that is no integer a stand-in below zero, and detail has it written out"),
    Column("reason", _enum(Reason), nullable=False, index=True, comment="why, in a word"),
    Column("detail", Text, nullable=False, comment="why, in a sentence"),
    Column("attempts", Integer, nullable=False, comment="how often it was tried"),
    _moment("first_at", "when it was rejected for the first time"),
    _moment("last_at", "when it was rejected for the last time"),
    comment="Products that could not be predicted; a later prediction removes the row.",
)

cursors = Table(
    "cursors",
    metadata,
    Column("name", String(100), primary_key=True, comment="what is being gone through"),
    Column("position", JSON, nullable=False, comment="where to go on"),
    _moment("updated_at", "when it was moved last"),
    Column("holder", String(200), comment="the process that moves it, null when none does"),
    Column("beat", BigInteger, nullable=False, server_default="0", comment="grows while the holder lives"),
    comment="Where the producer goes on after a restart, and which of several may.",
)

verdicts = Table(
    "verdicts",
    metadata,
    _product_id(),
    Column(
        "decision",
        _enum(Decision),
        nullable=False,
        server_default=Decision.OTHER.value,
        comment="whose category is right: seller, model or other; or skipped, or open: somebody looks at it now",
    ),
    _category("category_id", "the category decided on; null while open and when skipped"),
    Column("model_id", Integer, ForeignKey("models.id"), comment="the model whose prediction was looked at"),
    Column("reviewer", String(200), nullable=False, comment="who decided, as they call themselves"),
    Column("note", Text, comment="what they wrote about it"),
    _moment("decided_at", "when; of an open one, when it was handed out"),
    CheckConstraint("(category_id IS NULL) = (decision IN ('open', 'skipped'))", name="category_when_decided"),
    comment="A person's decision about a product; it overrides the assignment, and corrects the trainer's label.",
)
