"""Alembic migrations of the SQL store; `shelver-worker migrate` runs them."""
