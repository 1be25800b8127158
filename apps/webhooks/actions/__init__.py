"""Publish events, deliver them, and keep the endpoints that want them."""

from apps.webhooks.actions.change_endpoint import change_endpoint, delete_endpoint
from apps.webhooks.actions.create_endpoint import NewEndpoint, create_endpoint
from apps.webhooks.actions.deliver import deliver
from apps.webhooks.actions.forget_events import forget_events
from apps.webhooks.actions.publish_event import publish_event
from apps.webhooks.actions.rotate_secret import rotate_secret
from apps.webhooks.actions.send_again import send_again, send_test

__all__ = [
    "NewEndpoint",
    "change_endpoint",
    "create_endpoint",
    "delete_endpoint",
    "deliver",
    "forget_events",
    "publish_event",
    "rotate_secret",
    "send_again",
    "send_test",
]
