"""Addresses of what can be called."""

from django.urls import path

from apps.providers.views import (
    ModelsView,
    ModelView,
    NativeModelsView,
    ProviderPauseView,
    ProviderResumeView,
    ProvidersView,
    ProviderView,
    TargetPauseView,
    TargetResumeView,
    TargetView,
)

urlpatterns = [
    path("v1/models", ModelsView.as_view(), name="models"),
    path("v1/models/<path:name>", ModelView.as_view(), name="model"),
    path("api/models", NativeModelsView.as_view(), name="native-models"),
    path("api/providers", ProvidersView.as_view(), name="providers"),
    path("api/providers/<str:provider_id>", ProviderView.as_view(), name="provider"),
    path("api/providers/<str:provider_id>/pause", ProviderPauseView.as_view(), name="provider-pause"),
    path("api/providers/<str:provider_id>/resume", ProviderResumeView.as_view(), name="provider-resume"),
    path("api/targets/<str:target_id>", TargetView.as_view(), name="target"),
    path("api/targets/<str:target_id>/pause", TargetPauseView.as_view(), name="target-pause"),
    path("api/targets/<str:target_id>/resume", TargetResumeView.as_view(), name="target-resume"),
]
