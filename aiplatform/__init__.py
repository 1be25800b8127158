"""The project: how the apps are put together."""

from aiplatform.celery import app as celery_app
from apps.lib.memory import return_big_blocks

__all__ = ["celery_app"]

# Every process of the platform comes through here before it starts a thread.
return_big_blocks()
