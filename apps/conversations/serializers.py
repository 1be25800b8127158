"""What is remembered, at the HTTP edge."""

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from apps.conversations.domain.memory import LONGEST_TEXT, Thing
from apps.conversations.models import MemoryEvent, Profile
from apps.lib.ids import public_id
from apps.lib.strict_fields import TextField, WholeField, WhyField

MOST_SEQ = 2**53
_ITEM_PREFIX = "item_"


class ProfileSerializer(serializers.ModelSerializer[Profile]):
    """A person as your program names them. `seq` is the number of the last event of their memory, `remembered` how much there is in it."""

    id = serializers.CharField(source="public_id", read_only=True)
    remembered = serializers.SerializerMethodField()

    class Meta:
        model = Profile
        fields = ["id", "end_user", "seq", "remembered", "created_at", "updated_at"]
        read_only_fields = fields

    def get_remembered(self, profile: Profile) -> int:
        return len(profile.memory)


class ProfileRequestSerializer(serializers.Serializer[Any]):
    """Of whom."""

    end_user = TextField(
        trim_whitespace=False, max_length=255, help_text="As calls name who speaks, in `safety_identifier` or `user`; a conversation alike."
    )


class ThingSerializer(serializers.Serializer[Thing]):
    """What is remembered under a key. `seq` is the event that says so."""

    key = serializers.CharField()
    text = serializers.CharField()
    seq = serializers.IntegerField()


class MemorySerializer(serializers.Serializer[Any]):
    """All that is remembered after the event `seq`, what was told last first."""

    seq = serializers.IntegerField()
    data = ThingSerializer(many=True)  # type: ignore[assignment]  # the API's name hides an attribute that only input uses


class MemoryRequestSerializer(serializers.Serializer[Any]):
    """What is remembered under the key from now on."""

    text = TextField(
        trim_whitespace=False, max_length=LONGEST_TEXT, validators=[RegexValidator(r"\S", "A text of blanks alone tells nothing.")]
    )
    expected_seq = WholeField(
        min_value=0,
        max_value=MOST_SEQ,
        required=False,
        allow_null=True,
        default=None,
        help_text="The last event that you have read: if there is a newer one, nothing is changed (409 `memory_changed`).",
    )
    why = WhyField(default="", help_text="Why; it stands in the event.")


class MemoryEventSerializer(serializers.ModelSerializer[MemoryEvent]):
    """One change. `hash` is the SHA-256 over the hash before it and what the event says, in hex; `item`: whose model had it remembered."""

    item = serializers.SerializerMethodField()
    previous_hash = serializers.SerializerMethodField()
    hash = serializers.SerializerMethodField()

    class Meta:
        model = MemoryEvent
        fields = ["seq", "kind", "key", "text", "source", "item", "why", "previous_hash", "hash", "created_at"]
        read_only_fields = fields

    def get_item(self, event: MemoryEvent) -> str | None:
        return public_id(_ITEM_PREFIX, event.item_id) if event.item_id else None

    def get_previous_hash(self, event: MemoryEvent) -> str:
        return bytes(event.previous_hash).hex()

    def get_hash(self, event: MemoryEvent) -> str:
        return bytes(event.hash).hex()
