"""The project: how the apps are put together."""

from aiplatform.celery import app as celery_app

__all__ = ["celery_app"]
