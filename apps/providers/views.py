"""`/v1/models`, `/api/models`: what callers may name in `model`, at which price. `/api/providers`: who answers, and its switch."""

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
from apps.providers.actions import pause, resume
from apps.providers.models import Model, Provider, Target
from apps.providers.queries import callable_models, find_callable, find_provider, find_target, list_callable, read_offers, read_standings
from apps.providers.serializers import (
    CallableSerializer,
    ModelListSerializer,
    OfferSerializer,
    PauseSerializer,
    ResumeSerializer,
    StandingSerializer,
    TargetStandingSerializer,
    show_standings,
)


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


@extend_schema_view(get=extend_schema(operation_id="list_providers", tags=["providers"]))
class ProvidersView(ListAPIView[Provider]):
    """Every provider by name, as it stands: limits, breakers, pauses, outcomes and latencies of requests, tokens and money of today.

    Providers are shared by all workspaces.
    """

    required_scope = "platform"
    queryset = Provider.objects.all()
    serializer_class = StandingSerializer
    pagination_class = CursorPages
    page_order = ("name",)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # noqa: ARG002 -- the framework's signature
        """A page of providers, then how these stand."""
        page = self.paginate_queryset(self.get_queryset()) or []
        return self.get_paginated_response(show_standings(read_standings(now=timezone.now(), providers=page)))


class ProviderView(APIView):
    """One provider, as it stands."""

    required_scope = "platform"

    @extend_schema(operation_id="retrieve_provider", tags=["providers"], responses=StandingSerializer)
    def get(self, request: Request, provider_id: str) -> Response:  # noqa: ARG002 -- the framework's signature
        return _show_provider(find_provider(provider_id))


class ProviderPauseView(APIView):
    """Send nothing more to it, within seconds and from all workers; calls in the air finish.

    Its work goes to the models' other targets; where there is none it waits, and loses no attempt. Paused already: nothing changes.
    """

    required_scope = "platform"

    @extend_schema(operation_id="pause_provider", tags=["providers"], request=PauseSerializer, responses=StandingSerializer)
    def post(self, request: Request, provider_id: str) -> Response:
        provider = find_provider(provider_id)
        pause(provider_id=provider.id, now=timezone.now(), reason=_reason(PauseSerializer, request))
        return _show_provider(find_provider(provider_id))


class ProviderResumeView(APIView):
    """Let it get calls again, within seconds. Not paused: nothing changes."""

    required_scope = "platform"

    @extend_schema(operation_id="resume_provider", tags=["providers"], request=ResumeSerializer, responses=StandingSerializer)
    def post(self, request: Request, provider_id: str) -> Response:
        provider = find_provider(provider_id)
        resume(provider_id=provider.id, now=timezone.now(), reason=_reason(ResumeSerializer, request))
        return _show_provider(find_provider(provider_id))


class TargetView(APIView):
    """One target, as it stands: a provider's model that can answer for ours."""

    required_scope = "platform"

    @extend_schema(operation_id="retrieve_target", tags=["providers"], responses=TargetStandingSerializer)
    def get(self, request: Request, target_id: str) -> Response:  # noqa: ARG002 -- the framework's signature
        return _show_target(find_target(target_id))


class TargetPauseView(APIView):
    """Send nothing more to this target alone; else as a provider's pause."""

    required_scope = "platform"

    @extend_schema(operation_id="pause_target", tags=["providers"], request=PauseSerializer, responses=TargetStandingSerializer)
    def post(self, request: Request, target_id: str) -> Response:
        target = find_target(target_id)
        pause(target_id=target.id, now=timezone.now(), reason=_reason(PauseSerializer, request))
        return _show_target(target)


class TargetResumeView(APIView):
    """Let it get calls again, within seconds. Not paused: nothing changes."""

    required_scope = "platform"

    @extend_schema(operation_id="resume_target", tags=["providers"], request=ResumeSerializer, responses=TargetStandingSerializer)
    def post(self, request: Request, target_id: str) -> Response:
        target = find_target(target_id)
        resume(target_id=target.id, now=timezone.now(), reason=_reason(ResumeSerializer, request))
        return _show_target(target)


def _reason(kind: type[PauseSerializer | ResumeSerializer], request: Request) -> str:
    wanted = kind(data=request.data)
    wanted.is_valid(raise_exception=True)
    return str(wanted.validated_data.get("reason", ""))


def _show_provider(provider: Provider) -> Response:
    return Response(show_standings(read_standings(now=timezone.now(), providers=[provider]))[0])


def _show_target(target: Target) -> Response:
    (shown,) = show_standings(read_standings(now=timezone.now(), providers=[target.provider]))
    return Response(next(one for one in shown["targets"] if one["id"] == target.public_id))
