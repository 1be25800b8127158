"""How the back office and the API's documentation look, and what browsers may load for them: settings that no environment changes."""

from csp.constants import NONE, SELF
from django.templatetags.static import static
from django.urls import reverse_lazy

BROWSER_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
        "base-uri": [NONE],
    }
}

API_DOCS = {
    "TITLE": "aiplatform",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    # The schema tells nothing that this repository doesn't; it is open to everybody who reaches the server.
    "SERVE_AUTHENTICATION": [],
    # The default hook makes a named type of each choice, by names that collide.
    "POSTPROCESSING_HOOKS": ["aiplatform.openapi.complete_schema"],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "displayRequestDuration": True, "docExpansion": "none"},
}

BACK_OFFICE = {
    "SITE_TITLE": "aiplatform",
    "SITE_HEADER": "aiplatform",
    "SITE_SYMBOL": "bolt",
    "SITE_URL": None,  # there is no other site to return to
    "SITE_FAVICONS": [{"rel": "icon", "sizes": "any", "type": "image/svg+xml", "href": lambda _request: static("ops/icon.svg")}],
    "STYLES": [lambda _request: static("ops/back-office.css"), lambda _request: static("ops/spend.css")],
    "SCRIPTS": [lambda _request: static("ops/keyboard.js")],
    "DASHBOARD_CALLBACK": "apps.ops.views.dashboard",
    "LOGIN": {"form": "apps.accounts.forms.SignInForm"},
    "ACCOUNT": {
        "navigation": [
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
            {"title": "Second factor", "link": reverse_lazy("second-factor")},
        ]
    },
    "SIDEBAR": {"show_search": True, "show_all_applications": False, "navigation": "aiplatform.admin.navigation"},
}
