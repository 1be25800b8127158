"""Collections and documents."""

from django.urls import path

from apps.knowledge import views

urlpatterns = [
    path("api/collections", views.CollectionsView.as_view(), name="collections"),
    path("api/collections/<str:collection_id>", views.CollectionView.as_view(), name="collection"),
    path("api/documents", views.DocumentsView.as_view(), name="documents"),
    path("api/documents/<str:document_id>", views.DocumentView.as_view(), name="document"),
    path("api/documents/<str:document_id>/versions", views.DocumentVersionsView.as_view(), name="document-versions"),
    path("api/documents/<str:document_id>/text", views.DocumentTextView.as_view(), name="document-text"),
]
