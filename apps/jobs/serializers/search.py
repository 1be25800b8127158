"""Searches and what they found, at the HTTP edge."""

from typing import Any

from rest_framework import serializers

from apps.knowledge.domain.names import LONGEST_VALUE
from apps.knowledge.domain.request import LONGEST_QUERY, MOST_RESULTS, Mode
from apps.lib.strict_fields import BlankTextField, TextField, WholeField

_MOST_REVISION = 2**53


class PinRequestSerializer(serializers.Serializer[Any]):
    """A state of the caller's, like a conversation and how often it has changed: the same question gets the same snapshot in it."""

    scope = TextField(max_length=100)
    state_version = WholeField(min_value=0, max_value=_MOST_REVISION)


class SearchRequestSerializer(serializers.Serializer[Any]):
    """What is looked for, and among what."""

    query = TextField(max_length=LONGEST_QUERY, help_text='A question, or words; `"as it stands"` and `-without` are understood.')
    top_k = WholeField(min_value=1, max_value=MOST_RESULTS, default=10)
    mode = serializers.ChoiceField(choices=[mode.value for mode in Mode], default=Mode.HYBRID.value)
    document_ids = serializers.ListField(child=TextField(max_length=100), max_length=1000, required=False, default=list)
    metadata = serializers.DictField(
        child=BlankTextField(max_length=LONGEST_VALUE), required=False, default=dict, help_text="Documents that have all of these."
    )
    as_of = WholeField(
        min_value=0, max_value=_MOST_REVISION, required=False, allow_null=True, default=None, help_text="A revision of the collection."
    )
    pin = PinRequestSerializer(required=False, allow_null=True, default=None)


class ResultSerializer(serializers.Serializer[Any]):
    """A passage with where it stands. Its `text` never changes; `text_sha256` was frozen with the result."""

    chunk = serializers.CharField()
    document = serializers.CharField()
    document_name = serializers.CharField()
    version = serializers.IntegerField()
    anchor = serializers.CharField()
    heading = serializers.CharField()
    start = serializers.IntegerField(allow_null=True)
    end = serializers.IntegerField(allow_null=True)
    text = serializers.CharField(allow_null=True, help_text="Null: its document was deleted.")
    text_sha256 = serializers.CharField()
    score = serializers.FloatField()
    vector_rank = serializers.IntegerField(allow_null=True)
    text_rank = serializers.IntegerField(allow_null=True)


class SnapshotSerializer(serializers.Serializer[Any]):
    """What a search found, frozen: the same result has the same id."""

    id = serializers.CharField()
    collection = serializers.CharField()
    revision = serializers.IntegerField()
    query = serializers.CharField()
    mode = serializers.ChoiceField(choices=[mode.value for mode in Mode])
    top_k = serializers.IntegerField()
    embedder = serializers.CharField()
    results = ResultSerializer(many=True)
    created_at = serializers.DateTimeField()
