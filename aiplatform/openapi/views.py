"""What is told of each of REST framework's views."""

from typing import Any

from drf_spectacular.openapi import AutoSchema


class ScopedSchema(AutoSchema):
    """With the scope that a key needs: OpenAPI has scopes for OAuth alone."""

    def get_extensions(self) -> dict[str, Any]:
        """`x-` entries of the operation."""
        return {"x-required-scope": getattr(self.view, "required_scope", None)}
