"""Ask providers; the only door to a paid call."""

from apps.providers.actions.complete import complete
from apps.providers.actions.declare_model import declare_model
from apps.providers.actions.open_session import open_session
from apps.providers.actions.save_provider_key import save_provider_key

__all__ = ["complete", "declare_model", "open_session", "save_provider_key"]
