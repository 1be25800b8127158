"""The same application for WSGI servers; waiting calls and streams need ASGI."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiplatform.settings")

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

if settings.ADMIN_ADDRESSES:
    message = "AIPLATFORM_ADMIN_ADDRESSES is heeded by aiplatform.asgi alone: serve that, or close the back office in front and unset it."
    raise ImproperlyConfigured(message)

application = get_wsgi_application()
