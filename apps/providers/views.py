"""`/v1/models` and `/api/models`: what callers may name in `model`, and what it costs."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.lib.cursor_pages import CursorPages
from apps.lib.http_errors import ApiError
from apps.providers.models import Model
from apps.providers.queries import callable_models, find_callable, list_callable, read_offers
from apps.providers.serializers import CallableSerializer, ModelListSerializer, OfferSerializer


class ModelsView(APIView):
    """All models that can be called."""

    required_scope = "chat"

    @extend_schema(operation_id="list_models", responses=ModelListSerializer)
    def get(self, request: Request) -> Response:  # noqa: ARG002 -- the framework's signature
        return Response({"object": "list", "data": [CallableSerializer(model).data for model in list_callable()]})


class ModelView(APIView):
    """One model; names may contain slashes."""

    required_scope = "chat"

    @extend_schema(operation_id="retrieve_model", responses=CallableSerializer)
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002 -- the framework's signature
        model = find_callable(name)
        if model is None:
            raise ApiError(404, "model_not_found", f"The model {name[:100]!r} does not exist.", param="model")
        return Response(CallableSerializer(model).data)


@extend_schema_view(get=extend_schema(operation_id="list_native_models", tags=["models"]))
class NativeModelsView(ListAPIView[Model]):
    """What can be called, by name: who answers for it, in the order in which they are asked, at which prices."""

    required_scope = "chat"
    queryset = Model.objects.none()
    serializer_class = OfferSerializer
    pagination_class = CursorPages
    page_order = ("name",)

    def get_queryset(self) -> QuerySet[Model]:
        return callable_models()

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # noqa: ARG002 -- the framework's signature
        """A page of models, then the targets and prices of these."""
        page = self.paginate_queryset(self.get_queryset()) or []
        offers = read_offers(page, at=timezone.now())
        return self.get_paginated_response(OfferSerializer(offers, many=True).data)
