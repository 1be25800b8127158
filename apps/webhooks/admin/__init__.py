"""Webhooks and alerts in the back office: endpoints, what was delivered to them, and what a person should look at."""

from apps.webhooks.admin import alerts, deliveries, endpoints

__all__ = ["alerts", "deliveries", "endpoints"]
