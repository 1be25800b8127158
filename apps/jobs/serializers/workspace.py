"""The workspace with what is under way in it."""

from typing import Any

from rest_framework import serializers

_ROLES = ["viewer", "member", "owner"]


class MemberSerializer(serializers.Serializer[Any]):
    """Somebody who belongs to the workspace."""

    username = serializers.CharField()
    role = serializers.ChoiceField(choices=_ROLES)


class CountsSerializer(serializers.Serializer[Any]):
    """`open_items` have not ended; `dead_items` are those of open jobs and of jobs that ended within the last day."""

    members = serializers.IntegerField()
    live_keys = serializers.IntegerField()
    open_jobs = serializers.IntegerField()
    open_items = serializers.IntegerField()
    dead_items = serializers.IntegerField()


class WorkspaceSerializer(serializers.Serializer[Any]):
    """Who pays and owns."""

    name = serializers.CharField()
    time_zone = serializers.CharField(help_text="Where its days and months begin.")
    created_at = serializers.DateTimeField()
    members = MemberSerializer(many=True)
    counts = CountsSerializer()
