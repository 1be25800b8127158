"""Webhook endpoints and their deliveries."""

from django.urls import path

from apps.webhooks import views

urlpatterns = [
    path("api/webhooks", views.WebhooksView.as_view(), name="webhooks"),
    path("api/webhooks/<str:webhook_id>", views.WebhookView.as_view(), name="webhook"),
    path("api/webhooks/<str:webhook_id>/rotate", views.WebhookRotateView.as_view(), name="webhook-rotate"),
    path("api/webhooks/<str:webhook_id>/test", views.WebhookTestView.as_view(), name="webhook-test"),
    path("api/webhooks/<str:webhook_id>/deliveries", views.DeliveriesView.as_view(), name="deliveries"),
    path("api/deliveries/<str:delivery_id>", views.DeliveryView.as_view(), name="delivery"),
    path("api/deliveries/<str:delivery_id>/replay", views.DeliveryReplayView.as_view(), name="delivery-replay"),
]
