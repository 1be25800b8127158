"""Addresses that start, show or change work."""

from django.urls import path

from apps.jobs.views import batches, calls

urlpatterns = [
    path("v1/chat/completions", calls.call_view("/v1/chat/completions"), name="chat-completions"),
    path("v1/completions", calls.call_view("/v1/completions"), name="completions"),
    path("v1/embeddings", calls.call_view("/v1/embeddings"), name="embeddings"),
    path("v1/responses", calls.call_view("/v1/responses"), name="responses"),
    path("v1/batches", batches.BatchListView.as_view(), name="batches"),
    path("v1/batches/<str:batch_id>", batches.BatchView.as_view(), name="batch"),
    path("v1/batches/<str:batch_id>/cancel", batches.BatchCancelView.as_view(), name="batch-cancel"),
    path("v1/batches/<str:batch_id>/results", batches.BatchResultsView.as_view(), name="batch-results"),
    path("api/jobs/<str:job_id>", batches.JobView.as_view(), name="job"),
    path("api/jobs/<str:job_id>/pause", batches.JobPauseView.as_view(), name="job-pause"),
    path("api/jobs/<str:job_id>/resume", batches.JobResumeView.as_view(), name="job-resume"),
]
