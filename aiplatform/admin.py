"""The back office: one site, in the order in which people look for things."""

from django.contrib.admin.apps import AdminConfig
from unfold.sites import UnfoldAdminSite


class BackOffice(UnfoldAdminSite):  # type: ignore[misc]  # unfold ships no types
    """The admin site of aiplatform."""


class BackOfficeConfig(AdminConfig):
    """Makes BackOffice the default admin site."""

    default_site = "aiplatform.admin.BackOffice"
