"""Files: below /v1 for OpenAI's clients, below /api natively."""

from django.urls import path

from apps.files import views

urlpatterns = [
    path("v1/files", views.FilesView.as_view(), name="files"),
    path("v1/files/<str:file_id>", views.FileView.as_view(), name="file"),
    path("v1/files/<str:file_id>/content", views.FileContentView.as_view(), name="file-content"),
    path("v1/uploads", views.UploadsView.as_view(), name="uploads"),
    path("v1/uploads/<str:upload_id>/parts", views.UploadPartsView.as_view(), name="upload-parts"),
    path("v1/uploads/<str:upload_id>/complete", views.UploadCompleteView.as_view(), name="upload-complete"),
    path("v1/uploads/<str:upload_id>/cancel", views.UploadCancelView.as_view(), name="upload-cancel"),
    path("api/files", views.NativeFilesView.as_view(), name="native-files"),
    path("api/files/<str:file_id>", views.NativeFileView.as_view(), name="native-file"),
    path("api/files/<str:file_id>/content", views.NativeFileContentView.as_view(), name="native-file-content"),
]
