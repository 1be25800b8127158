"""The same application for WSGI servers; waiting calls and streams need ASGI."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiplatform.settings")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
