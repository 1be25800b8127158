"""The wire: one file for each kind of provider, and http.py, which sends for all of them. No database, no Django."""

from apps.providers.adapters.adapter import Adapter
from apps.providers.adapters.anthropic import AnthropicAdapter
from apps.providers.adapters.openai import OpenAIAdapter

ADAPTERS: dict[str, Adapter] = {"openai": OpenAIAdapter(), "anthropic": AnthropicAdapter()}

__all__ = ["ADAPTERS", "Adapter"]
