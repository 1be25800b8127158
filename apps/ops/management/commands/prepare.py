"""manage.py prepare: migrations, static files, the first superuser, the local model; safe to repeat and on many machines."""

import os
from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.ops.actions.stack.prepare_platform import prepare_platform


class Command(BaseCommand):
    """Run before the web and worker processes of a new version start."""

    help = "Migrate, collect static files, make the first superuser (AIPLATFORM_ADMIN_PASSWORD), declare the local model."

    def handle(self, **_: Any) -> None:
        prepare_platform(
            admin_password=os.environ.get("AIPLATFORM_ADMIN_PASSWORD", ""),
            local_model_url=os.environ.get("AIPLATFORM_LOCAL_MODEL_URL", ""),
            local_model_key=os.environ.get("AIPLATFORM_LOCAL_MODEL_KEY", ""),
            now=timezone.now(),
        )
        # A key that was taken away too early is told before anybody works without it.
        self.check(tags=[Tags.database], databases=["default"])
