"""Files: below /v1 for OpenAI's clients, below /api natively."""

from django.urls import path

from apps.files import views

urlpatterns = [
    path("v1/files", views.FilesView.as_view(), name="files"),
    path("v1/files/<str:file_id>", views.FileView.as_view(), name="file"),
    path("v1/files/<str:file_id>/content", views.FileContentView.as_view(), name="file-content"),
    path("api/files", views.NativeFilesView.as_view(), name="native-files"),
    path("api/files/<str:file_id>", views.NativeFileView.as_view(), name="native-file"),
    path("api/files/<str:file_id>/content", views.NativeFileContentView.as_view(), name="native-file-content"),
]
