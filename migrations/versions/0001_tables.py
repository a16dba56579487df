"""The tables of the store."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def identity(name: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger, autoincrement=False, nullable=False)


def moment(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def upgrade() -> None:
    op.create_table(
        "categories",
        identity("id"),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column(
            "parent_id", sa.BigInteger, sa.ForeignKey("categories.id", name="fk_categories_parent_id_categories")
        ),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_en", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_categories"),
    )
    op.create_index("ix_categories_parent_id", "categories", ["parent_id"])
    op.create_table(
        "models",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("picture_side", sa.SmallInteger, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("threshold_level1", sa.Float),
        sa.Column("threshold_level2", sa.Float),
        sa.Column("threshold_level3", sa.Float),
        moment("published_at"),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("name", "version", name="uq_models_name_version"),
    )
    op.create_table(
        "predictions",
        identity("product_id"),
        sa.Column("model_id", sa.Integer, sa.ForeignKey("models.id", name="fk_predictions_model_id_models")),
        *(
            column
            for name, score in (("category_id", "score"), ("level2_id", "level2_score"), ("level1_id", "level1_score"))
            for column in (
                sa.Column(
                    name,
                    sa.BigInteger,
                    sa.ForeignKey("categories.id", name=f"fk_predictions_{name}_categories"),
                    nullable=False,
                ),
                sa.Column(score, sa.Float, nullable=False),
            )
        ),
        sa.Column("margin", sa.Float, nullable=False),
        sa.Column("picture_count", sa.SmallInteger, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(16), nullable=False),
        sa.Column("listed_category_id", sa.BigInteger),
        sa.Column("queue", sa.String(32), nullable=False),
        moment("queued_at"),
        moment("predicted_at"),
        sa.PrimaryKeyConstraint("product_id", "model_id", name="pk_predictions"),
    )
    op.create_index("ix_predictions_model_id_fingerprint", "predictions", ["model_id", "fingerprint"])
    op.create_table(
        "candidates",
        identity("product_id"),
        sa.Column("model_id", sa.Integer),
        sa.Column("rank", sa.SmallInteger, autoincrement=False),
        sa.Column(
            "category_id",
            sa.BigInteger,
            sa.ForeignKey("categories.id", name="fk_candidates_category_id_categories"),
            nullable=False,
        ),
        sa.Column("score", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("product_id", "model_id", "rank", name="pk_candidates"),
        sa.ForeignKeyConstraint(
            ["product_id", "model_id"],
            ["predictions.product_id", "predictions.model_id"],
            name="fk_candidates_product_id_model_id_predictions",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "rejects",
        identity("product_id"),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        moment("first_at"),
        moment("last_at"),
        sa.PrimaryKeyConstraint("product_id", name="pk_rejects"),
    )
    op.create_index("ix_rejects_reason", "rejects", ["reason"])
    op.create_table(
        "cursors",
        sa.Column("name", sa.String(100)),
        sa.Column("position", sa.JSON, nullable=False),
        moment("updated_at"),
        sa.PrimaryKeyConstraint("name", name="pk_cursors"),
    )
    op.create_table(
        "verdicts",
        identity("product_id"),
        sa.Column(
            "category_id",
            sa.BigInteger,
            sa.ForeignKey("categories.id", name="fk_verdicts_category_id_categories"),
            nullable=False,
        ),
        sa.Column("reviewer", sa.String(200), nullable=False),
        sa.Column("note", sa.Text),
        moment("decided_at"),
        sa.PrimaryKeyConstraint("product_id", name="pk_verdicts"),
    )


def downgrade() -> None:
    for table in ("verdicts", "cursors", "rejects", "candidates", "predictions", "models", "categories"):
        op.drop_table(table)
