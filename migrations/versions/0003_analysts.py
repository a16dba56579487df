"""What analysts ask is indexed: one prediction of a product is its latest; a verdict says whose category is right."""

import sqlalchemy as sa
from alembic import op

from migrations import views

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

#: of worker.contract.views as this revision makes them; whoever changes a view adds a revision, so that `migrate` runs
VIEWS = "bb9312782e7f"

INDICES = {
    "ix_predictions_category_id_score": ["category_id", "score"],
    "ix_predictions_level2_id_level2_score": ["level2_id", "level2_score"],
    "ix_predictions_level1_id_level1_score": ["level1_id", "level1_score"],
    "ix_predictions_predicted_at_queued_at_model_id_queue": ["predicted_at", "queued_at", "model_id", "queue"],
}


#: whose a verdict from before is: nobody had written that down
WHOSE = """
UPDATE verdicts SET decision = CASE
  WHEN EXISTS (SELECT 1 FROM predictions p WHERE p.product_id = verdicts.product_id AND p.is_latest
               AND p.listed_category_id = verdicts.category_id) THEN 'seller'
  WHEN EXISTS (SELECT 1 FROM predictions p WHERE p.product_id = verdicts.product_id AND p.is_latest
               AND p.category_id = verdicts.category_id) THEN 'model'
  ELSE 'other' END
"""


def upgrade() -> None:
    views.refuse_taken(op.get_bind())
    op.add_column("predictions", sa.Column("is_latest", sa.Boolean, nullable=False, server_default=sa.true()))
    op.execute(
        "UPDATE predictions SET is_latest = false WHERE EXISTS (SELECT 1 FROM predictions newer WHERE "
        "newer.product_id = predictions.product_id AND (newer.predicted_at, newer.model_id) > "
        "(predictions.predicted_at, predictions.model_id))"
    )
    for name, columns in INDICES.items():
        op.create_index(name, "predictions", columns)
    where = {"postgresql_where": sa.text("is_latest"), "sqlite_where": sa.text("is_latest = 1")}
    op.create_index("uq_predictions_latest_product_id", "predictions", ["product_id"], unique=True, **where)
    op.create_index("ix_predictions_latest_score", "predictions", ["score"], **where)
    with op.batch_alter_table("verdicts") as verdicts:
        verdicts.add_column(sa.Column("decision", sa.String(32), nullable=False, server_default="other"))
        verdicts.add_column(sa.Column("model_id", sa.Integer))
        verdicts.alter_column("category_id", existing_type=sa.BigInteger, nullable=True)
        verdicts.create_foreign_key("fk_verdicts_model_id_models", "models", ["model_id"], ["id"])
        verdicts.create_check_constraint(
            "ck_verdicts_category_when_decided", "(category_id IS NULL) = (decision IN ('open', 'skipped'))"
        )
    op.execute(WHOSE)


def downgrade() -> None:
    views.drop(op.get_bind())
    op.execute("DELETE FROM verdicts WHERE category_id IS NULL")
    with op.batch_alter_table("verdicts") as verdicts:
        verdicts.drop_constraint("ck_verdicts_category_when_decided", type_="check")
        verdicts.drop_constraint("fk_verdicts_model_id_models", type_="foreignkey")
        verdicts.alter_column("category_id", existing_type=sa.BigInteger, nullable=False)
        verdicts.drop_column("model_id")
        verdicts.drop_column("decision")
    for name in (*INDICES, "uq_predictions_latest_product_id", "ix_predictions_latest_score"):
        op.drop_index(name, "predictions")
    op.drop_column("predictions", "is_latest")
