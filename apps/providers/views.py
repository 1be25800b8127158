"""`/v1/models`: what callers may name in `model`."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.lib.http_errors import ApiError
from apps.providers.domain.catalogue import CallableModel
from apps.providers.queries import find_callable, list_callable


class ModelsView(APIView):
    """All models that can be called."""

    required_scope = "chat"

    @extend_schema(operation_id="list_models", responses={200: dict[str, Any]})
    def get(self, request: Request) -> Response:  # noqa: ARG002 -- the framework's signature
        return Response({"object": "list", "data": [_show(model) for model in list_callable()]})


class ModelView(APIView):
    """One model; names may contain slashes."""

    required_scope = "chat"

    @extend_schema(operation_id="retrieve_model", responses={200: dict[str, Any]})
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002 -- the framework's signature
        model = find_callable(name)
        if model is None:
            raise ApiError(404, "model_not_found", f"The model {name[:100]!r} does not exist.", param="model")
        return Response(_show(model))


def _show(model: CallableModel) -> dict[str, Any]:
    return {"id": model.name, "object": "model", "created": int(model.created_at.timestamp()), "owned_by": "aiplatform"}
