"""Find the tools that models may ask for: the platform's own, and those of the modules that the operator names."""

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from apps.jobs.actions.keep_memory import FORGET, REMEMBER
from apps.jobs.actions.search_knowledge import SEARCH_KNOWLEDGE
from apps.jobs.domain.tool import Tool

_OWN = (SEARCH_KNOWLEDGE, REMEMBER, FORGET)


def find_tools() -> Mapping[str, Tool]:
    """By name; ImproperlyConfigured for a module without tools, and for a name that stands twice."""
    return _load(tuple(settings.AIPLATFORM_TOOLS))


@lru_cache(maxsize=8)
def _load(modules: tuple[str, ...]) -> Mapping[str, Tool]:
    found = {tool.name: tool for tool in _OWN}
    for name in modules:
        for tool in _tools_of(name):
            if tool.name in found:
                msg = f"AIPLATFORM_TOOLS: {name} offers a tool {tool.name!r}, and there is one of that name already."
                raise ImproperlyConfigured(msg)
            found[tool.name] = tool
    return MappingProxyType(found)


def _tools_of(name: str) -> list[Tool]:
    try:
        tools = list(import_module(name).TOOLS)
    except (ImportError, AttributeError, TypeError) as error:
        msg = f"AIPLATFORM_TOOLS: {name} can't be imported, or has no sequence TOOLS: {error}"
        raise ImproperlyConfigured(msg) from error
    if wrong := next((tool for tool in tools if not isinstance(tool, Tool)), None):
        msg = f"AIPLATFORM_TOOLS: {name}.TOOLS holds {wrong!r}, which is no apps.jobs.domain.tool.Tool."
        raise ImproperlyConfigured(msg)
    return tools
