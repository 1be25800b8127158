"""The HTTP doors to webhooks and alerts."""
