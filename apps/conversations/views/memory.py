"""`/api/profiles`: what is remembered of people, read, changed, and as it was."""

import hashlib

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.domain.idempotency import KEY_HEADER, IdempotencyKeyError, read_once
from apps.accounts.permissions import key_of
from apps.conversations import actions
from apps.conversations.actions import Origin
from apps.conversations.domain.memory import KEY, KEY_RULE, LONGEST_WHY, Change, Kind, Source, Thing, read_things
from apps.conversations.models import MemoryEvent, Profile
from apps.conversations.queries.memory import events_of, find_profile, profiles_of, read_memory_of
from apps.conversations.serializers import (
    MOST_SEQ,
    MemoryEventSerializer,
    MemoryRequestSerializer,
    MemorySerializer,
    ProfileRequestSerializer,
    ProfileSerializer,
    ThingSerializer,
)
from apps.lib.clock import current_time
from apps.lib.cursor_pages import CursorPages
from apps.lib.http_errors import ApiError
from apps.lib.narrowing import Narrowing, text_filter
from apps.lib.whole_parameters import read_whole

_KEY = OpenApiParameter("key", {"type": "string", "pattern": f"^{KEY.pattern}$"}, OpenApiParameter.PATH, description=KEY_RULE)
_EXPECTED_SEQ = OpenApiParameter(
    "expected_seq",
    {"type": "integer", "minimum": 0, "maximum": MOST_SEQ},
    description="The last event that you have read: if there is a newer one, nothing is changed (409 `memory_changed`).",
)
_WHY = OpenApiParameter("why", {"type": "string", "minLength": 1, "maxLength": LONGEST_WHY}, description="Why; it stands in the event.")


class ProfileFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter ships no types
    """What the list can be narrowed by."""

    end_user = text_filter(longest=255, label="The person's name for your program, as it is written.")


@extend_schema_view(get=extend_schema(operation_id="list_profiles", tags=["memory"]))
class ProfilesView(ListAPIView[Profile]):
    """The workspace's profiles, newest first."""

    required_scope = "chat"
    queryset = Profile.objects.none()
    serializer_class = ProfileSerializer
    pagination_class = CursorPages
    page_order = ("-id",)
    filter_backends = [Narrowing]
    filterset_class = ProfileFilter

    def get_queryset(self) -> QuerySet[Profile]:
        return profiles_of(key_of(self.request).workspace_id)

    @extend_schema(
        operation_id="create_profile",
        tags=["memory"],
        request=ProfileRequestSerializer,
        responses={200: ProfileSerializer, 201: ProfileSerializer},
    )
    def post(self, request: Request) -> Response:
        """The profile of a person: 201 when it is made, 200 when it was there. Tools that remember something make it by themselves."""
        wanted = ProfileRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        profile, is_new = actions.create_profile(workspace_id=key_of(request).workspace_id, **wanted.validated_data, now=current_time())
        return Response(ProfileSerializer(profile).data, status=201 if is_new else 200)


class ProfileView(APIView):
    """One person's profile."""

    required_scope = "chat"

    @extend_schema(operation_id="retrieve_profile", tags=["memory"], responses=ProfileSerializer)
    def get(self, request: Request, profile_id: str) -> Response:
        return Response(ProfileSerializer(_profile(request, profile_id)).data)

    @extend_schema(
        operation_id="erase_profile",
        tags=["memory"],
        parameters=[
            OpenApiParameter(
                "end_user", {"type": "string", "minLength": 1, "maxLength": 255}, required=True, description="The person's name, once more."
            )
        ],
        responses={204: None},
    )
    def delete(self, request: Request, profile_id: str) -> Response:
        """All that is remembered of the person goes for good, with the events that led to it. What they said in conversations stays."""
        profile = _profile(request, profile_id)
        actions.erase_profile(profile_id=profile.id, end_user=request.query_params.get("end_user", ""), now=current_time())
        return Response(status=204)


class MemoryView(APIView):
    """What is remembered of a person."""

    required_scope = "chat"

    @extend_schema(
        operation_id="read_memory",
        tags=["memory"],
        parameters=[
            OpenApiParameter("seq", {"type": "integer", "minimum": 0, "maximum": MOST_SEQ}, description="As it was after this event.")
        ],
        responses=MemorySerializer,
    )
    def get(self, request: Request, profile_id: str) -> Response:
        """Now, or as it was: turns tell the event that their memory was read at as `memory_seq`."""
        profile = _profile(request, profile_id)
        seq, things = read_memory_of(profile, seq=read_whole(request, "seq", least=0, most=MOST_SEQ))
        return Response(MemorySerializer({"seq": seq, "data": things}).data)


class RememberedView(APIView):
    """One thing that is remembered."""

    required_scope = "chat"

    @extend_schema(operation_id="read_remembered", tags=["memory"], parameters=[_KEY], responses=ThingSerializer)
    def get(self, request: Request, profile_id: str, key: str) -> Response:
        thing = read_things(_profile(request, profile_id).memory).get(key)
        if thing is None:
            raise ApiError(404, "not_found", f"Nothing is remembered under {key[:100]!r}.")
        return Response(ThingSerializer(thing).data)

    @extend_schema(
        operation_id="set_memory", tags=["memory"], parameters=[_KEY], request=MemoryRequestSerializer, responses=ThingSerializer
    )
    def put(self, request: Request, profile_id: str, key: str) -> Response:
        """Remember this under the key from now on. What is remembered word for word is left as it is."""
        profile = _profile(request, profile_id)
        wanted = MemoryRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = wanted.validated_data
        changed = actions.change_memory(
            profile_id=profile.id,
            change=Change(Kind.SET, key, values["text"]),
            origin=_origin(request, values["why"]),
            expected_seq=values["expected_seq"],
            now=current_time(),
        )
        event = changed.event
        thing = Thing(event.key, event.text, event.seq) if event else read_things(changed.profile.memory)[key]
        return Response(ThingSerializer(thing).data)

    @extend_schema(operation_id="forget_memory", tags=["memory"], parameters=[_KEY, _EXPECTED_SEQ, _WHY], responses={204: None})
    def delete(self, request: Request, profile_id: str, key: str) -> Response:
        """Forget it. The event that says what was remembered stays; to erase a person's texts for good, delete the profile."""
        profile = _profile(request, profile_id)
        actions.change_memory(
            profile_id=profile.id,
            change=Change(Kind.FORGET, key),
            origin=_origin(request, _why(request)),
            expected_seq=read_whole(request, "expected_seq", least=0, most=MOST_SEQ),
            now=current_time(),
        )
        return Response(status=204)


@extend_schema_view(get=extend_schema(operation_id="list_memory_events", tags=["memory"]))
class MemoryEventsView(ListAPIView[MemoryEvent]):
    """The changes of a person's memory, newest first."""

    required_scope = "chat"
    queryset = MemoryEvent.objects.none()
    serializer_class = MemoryEventSerializer
    pagination_class = CursorPages
    page_order = ("-seq",)

    def get_queryset(self) -> QuerySet[MemoryEvent]:
        return events_of(_profile(self.request, self.kwargs["profile_id"]).id)


def _profile(request: Request, public_id: str) -> Profile:
    return find_profile(workspace_id=key_of(request).workspace_id, public_id=public_id)


def _origin(request: Request, why: str) -> Origin:
    return Origin(Source.API, api_key_id=key_of(request).id, once_key=_once_key(request), why=why)


def _once_key(request: Request) -> str:
    """What the event keeps of the request's own name for itself; empty when it has none."""
    if KEY_HEADER not in request.headers:
        return ""
    key = key_of(request)
    try:
        # The event itself is compared with what is asked for, so that nothing else has to be.
        once = read_once(request.headers, workspace_id=key.workspace_id, api_key_id=key.id, route=request.path, fingerprint="")
    except IdempotencyKeyError as error:
        raise ApiError(400, "invalid_value", str(error), param=KEY_HEADER) from error
    return f"api:{hashlib.sha256(once.key.encode()).hexdigest()}"


def _why(request: Request) -> str:
    why = request.query_params.get("why", "")
    if len(why) > LONGEST_WHY or "\0" in why:
        raise ApiError(400, "invalid_value", f"'why' has at most {LONGEST_WHY} characters.", param="why")
    return why
