"""Addresses of what can be called."""

from django.urls import path

from apps.providers.views import ModelsView, ModelView

urlpatterns = [
    path("models", ModelsView.as_view(), name="models"),
    path("models/<path:name>", ModelView.as_view(), name="model"),
]
