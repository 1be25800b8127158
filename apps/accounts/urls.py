"""Addresses of API keys."""

from django.urls import path

from apps.accounts.views import KeyRevokeView, KeysView

urlpatterns = [
    path("api/keys", KeysView.as_view(), name="keys"),
    path("api/keys/<str:key_id>/revoke", KeyRevokeView.as_view(), name="key-revoke"),
]
