"""Addresses of what can be called."""

from django.urls import path

from apps.providers.views import ModelsView, ModelView, NativeModelsView

urlpatterns = [
    path("v1/models", ModelsView.as_view(), name="models"),
    path("v1/models/<path:name>", ModelView.as_view(), name="model"),
    path("api/models", NativeModelsView.as_view(), name="native-models"),
]
