"""What is remembered of people."""

from django.urls import path

from apps.conversations.views.memory import MemoryEventsView, MemoryView, ProfilesView, ProfileView, RememberedView

urlpatterns = [
    path("api/profiles", ProfilesView.as_view(), name="profiles"),
    path("api/profiles/<str:profile_id>", ProfileView.as_view(), name="profile"),
    path("api/profiles/<str:profile_id>/memory", MemoryView.as_view(), name="memory"),
    path("api/profiles/<str:profile_id>/memory/<str:key>", RememberedView.as_view(), name="remembered"),
    path("api/profiles/<str:profile_id>/events", MemoryEventsView.as_view(), name="memory-events"),
]
