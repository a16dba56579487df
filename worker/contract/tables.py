"""The SQL store: one MetaData, SQLite by default, PostgreSQL for real. Alembic (migrations/) makes it."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
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
)

from worker.contract.messages import Queue
from worker.contract.rejects import Reason

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
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


def _product_id(**options: Any) -> "Column[int]":
    return Column("product_id", BigInteger, primary_key=True, autoincrement=False, **options)


def _model_id() -> "Column[int]":
    return Column("model_id", Integer, ForeignKey("models.id"), primary_key=True)


#: nodes of the tree; level-3 ids are the catalog's own, levels 1 and 2 hash their full path
categories = Table(
    "categories",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("level", SmallInteger, nullable=False),
    Column("parent_id", BigInteger, ForeignKey("categories.id"), index=True),
    Column("name", Text, nullable=False),
    Column("name_en", Text),
)

#: every published model; a prediction names the one that made it
models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("version", Integer, nullable=False),
    Column("level", SmallInteger, nullable=False),  # of its classes
    Column("picture_side", SmallInteger, nullable=False),  # pixels
    Column("metrics", JSON, nullable=False),
    Column("threshold_level1", Float),  # scores from here on are an assignment; null until measured
    Column("threshold_level2", Float),
    Column("threshold_level3", Float),
    Column("published_at", UtcDateTime, nullable=False),
    UniqueConstraint("name", "version"),
)

#: a product's best category under one model
predictions = Table(
    "predictions",
    metadata,
    _product_id(),
    _model_id(),
    Column("category_id", BigInteger, ForeignKey("categories.id"), nullable=False),
    Column("score", Float, nullable=False),
    Column("margin", Float, nullable=False),  # score of rank 1 less score of rank 2
    Column("level2_id", BigInteger, ForeignKey("categories.id"), nullable=False),
    Column("level2_score", Float, nullable=False),
    Column("level1_id", BigInteger, ForeignKey("categories.id"), nullable=False),
    Column("level1_score", Float, nullable=False),
    Column("picture_count", SmallInteger, nullable=False),  # pictures averaged, unsound ones left out
    Column("fingerprint", LargeBinary(16), nullable=False),
    Column("listed_category_id", BigInteger),  # the seller's shelf, in the tree or not
    Column("queue", _enum(Queue), nullable=False),
    Column("queued_at", UtcDateTime, nullable=False),
    Column("predicted_at", UtcDateTime, nullable=False),
    Index(None, "model_id", "fingerprint"),
)

#: the ranked top-k of a prediction
candidates = Table(
    "candidates",
    metadata,
    _product_id(),
    Column("model_id", Integer, primary_key=True),
    Column("rank", SmallInteger, primary_key=True, autoincrement=False),  # 1 is the best
    Column("category_id", BigInteger, ForeignKey("categories.id"), nullable=False),
    Column("score", Float, nullable=False),
    ForeignKeyConstraint(
        ["product_id", "model_id"], ["predictions.product_id", "predictions.model_id"], ondelete="CASCADE"
    ),
)

#: products that could not be predicted, with the reason; a later prediction removes the row
rejects = Table(
    "rejects",
    metadata,
    _product_id(),  # for an id that is not an integer, a stand-in below zero; detail has it written out
    Column("reason", _enum(Reason), nullable=False, index=True),
    Column("detail", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

#: where the producer goes on after a restart, and which of several may
cursors = Table(
    "cursors",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("position", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("holder", String(200)),  # the process that moves it, null when none does
    Column("beat", BigInteger, nullable=False, server_default="0"),  # grows while the holder lives
)

#: a person's decision about a product
verdicts = Table(
    "verdicts",
    metadata,
    _product_id(),
    Column("category_id", BigInteger, ForeignKey("categories.id"), nullable=False),
    Column("reviewer", String(200), nullable=False),
    Column("note", Text),
    Column("decided_at", UtcDateTime, nullable=False),
)
