"""Addresses that start, show or change work."""

from django.urls import path

from apps.jobs.views import batches, calls, dead_items, document_jobs, events, items, jobs, recipes, search, streams, workspace

urlpatterns = [
    path("v1/chat/completions", calls.call_view("/v1/chat/completions"), name="chat-completions"),
    path("v1/completions", calls.call_view("/v1/completions"), name="completions"),
    path("v1/embeddings", calls.call_view("/v1/embeddings"), name="embeddings"),
    path("v1/responses", calls.call_view("/v1/responses"), name="responses"),
    path("v1/batches", batches.BatchListView.as_view(), name="batches"),
    path("v1/batches/<str:batch_id>", batches.BatchView.as_view(), name="batch"),
    path("v1/batches/<str:batch_id>/cancel", batches.BatchCancelView.as_view(), name="batch-cancel"),
    path("v1/batches/<str:batch_id>/results", batches.BatchResultsView.as_view(), name="batch-results"),
    path("api/jobs", jobs.JobsView.as_view(), name="jobs"),
    path("api/jobs/<str:job_id>", jobs.JobView.as_view(), name="job"),
    path("api/jobs/<str:job_id>/pause", jobs.JobPauseView.as_view(), name="job-pause"),
    path("api/jobs/<str:job_id>/resume", jobs.JobResumeView.as_view(), name="job-resume"),
    path("api/jobs/<str:job_id>/cancel", jobs.JobCancelView.as_view(), name="job-cancel"),
    path("api/jobs/<str:job_id>/lane", jobs.JobLaneView.as_view(), name="job-lane"),
    path("api/jobs/<str:job_id>/rerun", jobs.JobRerunView.as_view(), name="job-rerun"),
    path("api/jobs/<str:job_id>/results", jobs.JobResultsView.as_view(), name="job-results"),
    path("api/jobs/<str:job_id>/documents/<int:position>/correction", jobs.CorrectionView.as_view(), name="job-correction"),
    path("api/jobs/<str:job_id>/events", events.job_events, name="job-events"),
    path("api/jobs/<str:job_id>/documents", document_jobs.JobDocumentsView.as_view(), name="job-documents"),
    path("api/jobs/<str:job_id>/items", items.ItemsView.as_view(), name="job-items"),
    path("api/items/<str:item_id>", items.ItemView.as_view(), name="item"),
    path("api/items/<str:item_id>/events", streams.item_events, name="item-events"),
    path("api/dead-items", dead_items.DeadItemsView.as_view(), name="dead-items"),
    path("api/dead-items/requeue", dead_items.DeadItemsRequeueView.as_view(), name="dead-items-requeue"),
    path("api/dead-items/discard", dead_items.DeadItemsDiscardView.as_view(), name="dead-items-discard"),
    path("api/recipes", recipes.RecipesView.as_view(), name="recipes"),
    path("api/recipes/<str:recipe_id>", recipes.RecipeView.as_view(), name="recipe"),
    path("api/recipes/<str:recipe_id>/archive", recipes.RecipeArchiveView.as_view(), name="recipe-archive"),
    path("api/collections/<str:collection_id>/search", search.CollectionSearchView.as_view(), name="collection-search"),
    path("api/snapshots/<str:snapshot_id>", search.SnapshotView.as_view(), name="snapshot"),
    path("api/workspace", workspace.WorkspaceView.as_view(), name="workspace"),
]
