"""Which app answers under which prefix."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

handler400 = "apps.lib.http_errors.bad_request"
handler403 = "aiplatform.errors.permission_denied"
handler404 = "aiplatform.errors.not_found"
handler500 = "apps.lib.http_errors.server_error"

urlpatterns = [
    path("", include("apps.ops.urls")),
    path("", include("apps.accounts.urls")),
    path("", include("apps.files.urls")),
    path("", include("apps.webhooks.urls")),
    path("", include("apps.providers.urls")),
    path("", include("apps.prompts.urls")),
    path("", include("apps.knowledge.urls")),
    path("", include("apps.conversations.urls")),
    path("", include("apps.jobs.urls")),
    path("", include("apps.spend.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(template_name="ops/api_docs.html"), name="docs"),
    path(settings.ADMIN_PATH.removeprefix("/"), admin.site.urls),
]
