"""Publish events, deliver them, keep the endpoints that want them; and raise alerts."""

from apps.webhooks.actions.acknowledge_alert import acknowledge_alert
from apps.webhooks.actions.change_endpoint import change_endpoint, delete_endpoint
from apps.webhooks.actions.create_endpoint import NewEndpoint, create_endpoint
from apps.webhooks.actions.deliver import deliver
from apps.webhooks.actions.forget_events import forget_events
from apps.webhooks.actions.keep_alerts import keep_alerts
from apps.webhooks.actions.publish_event import publish_event
from apps.webhooks.actions.raise_alert import raise_alert
from apps.webhooks.actions.resolve_alert import resolve_alert
from apps.webhooks.actions.rotate_secret import rotate_secret
from apps.webhooks.actions.send_again import send_again, send_test
from apps.webhooks.actions.send_mails import send_mails

__all__ = [
    "NewEndpoint",
    "acknowledge_alert",
    "change_endpoint",
    "create_endpoint",
    "delete_endpoint",
    "deliver",
    "forget_events",
    "keep_alerts",
    "publish_event",
    "raise_alert",
    "resolve_alert",
    "rotate_secret",
    "send_again",
    "send_mails",
    "send_test",
]
