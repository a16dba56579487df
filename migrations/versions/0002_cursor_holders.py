"""Cursors have a holder: of several watchers one works."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cursors", sa.Column("holder", sa.String(200)))
    op.add_column("cursors", sa.Column("beat", sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("cursors", "beat")
    op.drop_column("cursors", "holder")
