"""What every adapter can do."""

from typing import Protocol

from apps.providers.domain.answers import Reading, Request, WireAnswer
from apps.providers.domain.calls import Call, Route


class Adapter(Protocol):
    """Translates; sends nothing itself."""

    def write(self, call: Call, route: Route) -> Request:
        """The call in the provider's words. ValueError, naming the field, for what can't be said in them."""

    def read(self, answer: WireAnswer) -> Reading:
        """What the answer comes to. Never raises: answers are hostile input."""
