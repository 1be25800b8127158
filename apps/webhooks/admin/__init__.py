"""Webhooks in the back office: endpoints, and what was delivered to them."""

from apps.webhooks.admin import deliveries, endpoints

__all__ = ["deliveries", "endpoints"]
