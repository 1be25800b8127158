"""Webhook endpoints and their deliveries; alerts."""

from django.urls import path

from apps.webhooks.views import alerts, webhooks

urlpatterns = [
    path("api/webhooks", webhooks.WebhooksView.as_view(), name="webhooks"),
    path("api/webhooks/<str:webhook_id>", webhooks.WebhookView.as_view(), name="webhook"),
    path("api/webhooks/<str:webhook_id>/rotate", webhooks.WebhookRotateView.as_view(), name="webhook-rotate"),
    path("api/webhooks/<str:webhook_id>/test", webhooks.WebhookTestView.as_view(), name="webhook-test"),
    path("api/webhooks/<str:webhook_id>/deliveries", webhooks.DeliveriesView.as_view(), name="deliveries"),
    path("api/alerts", alerts.AlertsView.as_view(), name="alerts"),
    path("api/alerts/<str:alert_id>", alerts.AlertView.as_view(), name="alert"),
    path("api/alerts/<str:alert_id>/acknowledge", alerts.AlertAcknowledgeView.as_view(), name="alert-acknowledge"),
    path("api/deliveries/<str:delivery_id>", webhooks.DeliveryView.as_view(), name="delivery"),
    path("api/deliveries/<str:delivery_id>/replay", webhooks.DeliveryReplayView.as_view(), name="delivery-replay"),
]
