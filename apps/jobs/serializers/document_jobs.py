"""Jobs of documents at the HTTP edge: what is submitted, what a dry run tells, and the documents of a job."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.jobs.actions.foresee_documents import DocumentsForesight
from apps.jobs.domain.document_answer import DocumentAnswer
from apps.jobs.domain.intake import FEATURE_LENGTH
from apps.jobs.domain.lifecycle import Lane
from apps.jobs.domain.submission import ON_BUDGET, PAIRS, VALUE_LENGTH
from apps.jobs.models import ITEM_PREFIX, DocumentState, JobDocument
from apps.jobs.serializers.estimates import ForesightSerializer, tell_foresight
from apps.knowledge.domain.names import LONGEST_KEY, LONGEST_VALUE, MOST_METADATA
from apps.lib.ids import public_id
from apps.lib.strict_fields import BlankTextField, DollarsField, TextField, TruthField

_MOST_NAMED = 1000
_END_USER_LENGTH = 255
_DOCUMENT_PREFIX = "doc_"


def _texts(most: int, key_length: int, value_length: int, **options: Any) -> serializers.DictField:
    def check(value: dict[str, str]) -> None:
        if len(value) > most or any(len(key) > key_length for key in value):
            raise serializers.ValidationError(f"At most {most} texts, by names of at most {key_length} characters.")

    return serializers.DictField(child=BlankTextField(max_length=value_length), validators=[check], **options)


class DocumentJobRequestSerializer(serializers.Serializer[Any]):
    """What a recipe is to do with which documents of a collection: those named, else those with this metadata, else all."""

    recipe = TextField(max_length=70, help_text="The recipe's id, `name@3`, or its name: the newest number that isn't archived.")
    collection = TextField(max_length=50, help_text="The collection's id or name.")
    documents = serializers.ListField(
        child=TextField(max_length=50), required=False, max_length=_MOST_NAMED, min_length=1, help_text="Ids of documents."
    )
    filter = _texts(MOST_METADATA, LONGEST_KEY, LONGEST_VALUE, required=False, help_text="Metadata that documents must have.")
    lane = serializers.ChoiceField(choices=[lane.value for lane in Lane], default=Lane.DEFAULT.value)
    feature = BlankTextField(max_length=FEATURE_LENGTH, default="")
    end_user = BlankTextField(max_length=_END_USER_LENGTH, default="")
    metadata = _texts(PAIRS, 64, VALUE_LENGTH, required=False, help_text="Yours, to find the job by.")
    max_cost_usd = DollarsField(required=False, help_text="The job stops asking when its answers have cost so much.")
    on_budget = serializers.ChoiceField(choices=ON_BUDGET, default="wait")
    reuse = TruthField(default=True, help_text="What was asked before, and is still kept, isn't asked again. False: it is.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "documents" in attrs and "filter" in attrs:
            raise serializers.ValidationError({"filter": "Name documents, or what their metadata must say; not both."})
        if attrs.get("max_cost_usd") == 0:
            raise serializers.ValidationError({"max_cost_usd": "Use US dollars above 0, like '12.50'."})
        return attrs


class DocumentJobForesightSerializer(serializers.Serializer[DocumentsForesight]):
    """What a job of documents would come to; nothing was submitted."""

    recipe = serializers.CharField(help_text="Its name and number.")
    documents = serializers.IntegerField()
    unread = serializers.IntegerField(help_text="Of them are yet to be read; they are taken to be as long as the rest.")
    known = serializers.IntegerField(help_text="Were answered by this very recipe in this version, and are not asked again.")
    requests = serializers.IntegerField(help_text="For the others, in all steps; where answers go into later steps, theirs are guessed.")
    is_whole = serializers.BooleanField(help_text="Every document was looked at, not only some that stand for the rest.")
    estimate = serializers.SerializerMethodField()

    @extend_schema_field(ForesightSerializer)
    def get_estimate(self, foreseen: DocumentsForesight) -> dict[str, Any]:
        return tell_foresight(foreseen.foresight, at=foreseen.at)


class JobDocumentSerializer(serializers.ModelSerializer[JobDocument]):
    """A document of a job: where it stands, and what its answer is."""

    id = serializers.SerializerMethodField(help_text="The document's.")
    version = serializers.IntegerField(source="version_number")
    state = serializers.ChoiceField(choices=DocumentState.choices)
    step = serializers.CharField(help_text="The step that it failed at; empty: it couldn't be read, or its job ended.")
    answer = serializers.SerializerMethodField(
        help_text="What the last step answered; null without an answer, when it is kept no longer, and where one answer is to all "
        "documents together: that is among the job's results."
    )
    corrected = serializers.SerializerMethodField(help_text="What a person said it should have been; else null.")
    answer_item_id = serializers.SerializerMethodField()

    class Meta:
        model = JobDocument
        fields = [
            "position", "id", "version", "name", "state", "step", "error_code", "error_message", "answer_item_id", "answer", "corrected",
            "ended_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_id(self, document: JobDocument) -> str:
        return public_id(_DOCUMENT_PREFIX, document.document_id)

    def get_answer_item_id(self, document: JobDocument) -> str | None:
        return public_id(ITEM_PREFIX, document.answer_item_id) if document.answer_item_id else None

    def get_answer(self, document: JobDocument) -> str | None:
        told = self._answer(document)
        return told.original if told else None

    def get_corrected(self, document: JobDocument) -> str | None:
        told = self._answer(document)
        return told.corrected.answer if told and told.corrected else None

    def _answer(self, document: JobDocument) -> DocumentAnswer | None:
        answers: dict[int, DocumentAnswer] = self.context.get("answers", {})
        return answers.get(document.position)
