"""Addresses of API keys, and of the second factor. That page is for whoever has only half signed in, so it is none of the site's own."""

from django.conf import settings
from django.urls import path

from apps.accounts.views.keys import KeyRevokeView, KeysView
from apps.accounts.views.second_factor import second_factor

_OFFICE = settings.ADMIN_PATH.removeprefix("/")

urlpatterns = [
    path("api/keys", KeysView.as_view(), name="keys"),
    path("api/keys/<str:key_id>/revoke", KeyRevokeView.as_view(), name="key-revoke"),
    path(f"{_OFFICE}second-factor/", second_factor, name="second-factor"),
]
