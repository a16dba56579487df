"""The Celery worker: pages of product ids in, predictions in SQL out."""
