"""What the examples in the schema name, made real."""

from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from apps.accounts.models import ApiKey
from apps.conversations.models import Conversation, Profile
from apps.files.actions import add_part, start_upload
from apps.files.models import UPLOAD_PREFIX, File, Part, Upload
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Item, Job, Recipe
from apps.knowledge.models import Collection, Document, DocumentVersion, Snapshot
from apps.lib.ids import public_id
from apps.prompts.models import Prompt
from apps.providers.models import Model, Provider
from apps.spend.models import Budget, BudgetPeriod
from apps.webhooks.models import Alert, Delivery, Endpoint, Event
from tests.factories.accounts import make_api_key, make_workspace
from tests.factories.alerts import make_alert
from tests.factories.conversations import make_conversation, make_profile
from tests.factories.files import make_file
from tests.factories.jobs import make_job, make_route
from tests.factories.knowledge import make_collection, make_read, make_snapshot, upload
from tests.factories.prompts import make_prompt, make_version
from tests.factories.providers import make_model, make_provider
from tests.factories.recipes import make_answered_document, make_recipe
from tests.factories.webhooks import make_delivery, make_endpoint
from tests.spend.purses import make_budget


def example_id(schema: dict[str, Any], parameter: str) -> UUID:
    """The key behind the example of a path's parameter, whichever operation has it."""
    for methods in schema["paths"].values():
        for operation in methods.values():
            for entry in operation.get("parameters", ()):
                if (entry["in"], entry["name"]) == ("path", parameter):
                    return UUID(hex=entry["example"][-32:])
    raise AssertionError(parameter)


def prepare(schema: dict[str, Any], operation: str) -> None:
    """The examples name what is there: a file, a job with a failure, its first item, a key, an upload, a webhook, a provider, ..."""
    has_ended = operation == "watch_job"
    for model in (Item, Job, Recipe, Part, Upload, File):
        model.objects.all().delete()
    ApiKey.objects.filter(name="test-example").delete()
    ended = {"status": JobStatus.COMPLETED, "ended_at": timezone.now()} if has_ended else {}
    job = make_job(id=example_id(schema, "job_id"), done=2, dead=1, running=0, waiting=0 if has_ended else 1, **ended)
    Item.objects.filter(job=job, position=1).update(id=example_id(schema, "item_id"))
    if operation == "correct_answer":
        make_answered_document(job)
    File.objects.filter(id=make_file().id).update(id=example_id(schema, "file_id"))
    key, _ = make_api_key(make_workspace())
    ApiKey.objects.filter(id=key.id).update(id=example_id(schema, "key_id"), name="test-example")
    Event.objects.all().delete()
    Endpoint.objects.all().delete()
    delivery = make_delivery(make_workspace())
    Delivery.objects.filter(id=delivery.id).update(endpoint=make_endpoint(make_workspace(), id=example_id(schema, "webhook_id")))
    Delivery.objects.filter(id=delivery.id).update(id=example_id(schema, "delivery_id"))
    Provider.objects.filter(name="example").delete()
    provider = make_provider("example", id=example_id(schema, "provider_id"))
    Model.objects.filter(name="example").delete()
    make_model("example", provider, is_enabled=False).targets.update(id=example_id(schema, "target_id"))
    Alert.objects.all().delete()
    Alert.objects.filter(id=make_alert().id).update(id=example_id(schema, "alert_id"))
    BudgetPeriod.objects.all().delete()
    Budget.objects.all().delete()
    budget_id = example_id(schema, "budget_id")
    make_budget("feature", id=budget_id, workspace=make_workspace(), subject="documents", period="month")
    Prompt.objects.all().delete()
    prompt = make_prompt(make_workspace(), name="example")
    Prompt.objects.filter(id=prompt.id).update(id=example_id(schema, "prompt_id"))
    make_version(Prompt.objects.get(name="example"), is_published=operation == "archive_prompt")
    for name in ("tiny", "small"):
        make_route(name)
    Recipe.objects.filter(id=make_recipe(make_workspace()).id).update(id=example_id(schema, "recipe_id"))
    Profile.objects.all().delete()
    make_profile(make_workspace(), "ada@example.org", id=example_id(schema, "profile_id"), language="In English, please.")
    Conversation.objects.all().delete()
    Conversation.objects.filter(id=make_conversation(make_workspace(), model_name=example_model(schema)).id).update(
        id=example_id(schema, "conversation_id")
    )
    _prepare_documents(schema)
    _prepare_upload(schema, has_part=operation == "complete_upload")


def _prepare_documents(schema: dict[str, Any]) -> None:
    Collection.objects.all().delete()
    made = make_collection(make_workspace(), name="example")
    Collection.objects.filter(id=made.id).update(id=example_id(schema, "collection_id"))
    collection = Collection.objects.get(name="example")
    # For uploads and jobs that name it.
    make_read_document(make_collection(make_workspace(), name="handbook"))
    version = upload("Text.", collection=collection).version
    document = Document(id=example_id(schema, "document_id"), collection=collection, name="example.txt")
    document.save(force_insert=True)
    DocumentVersion.objects.filter(id=version.id).update(document=document)
    parameters = schema["paths"]["/api/snapshots/{snapshot_id}"]["get"]["parameters"]
    snapshot = make_snapshot(collection)
    Snapshot.objects.all().delete()
    snapshot.id = next(entry["example"] for entry in parameters if entry["name"] == "snapshot_id").removeprefix("snap_")
    snapshot.save(force_insert=True)


def make_read_document(collection: Collection) -> None:
    """One that the example of a job chooses."""
    make_read({"refunds.txt": "Money is paid back within fourteen days."}, collection=collection)
    Document.objects.filter(collection=collection).update(metadata={"department": "sales"})


def _prepare_upload(schema: dict[str, Any], *, has_part: bool) -> None:
    def example(path: str) -> dict[str, Any]:
        (content,) = schema["paths"][path]["post"]["requestBody"]["content"].values()
        return dict(content["example"])

    workspace, upload_id = make_workspace(), example_id(schema, "upload_id")
    started = start_upload(workspace_id=workspace.id, api_key_id=None, values=example("/v1/uploads"), now=timezone.now())
    Upload.objects.filter(id=started.id).update(id=upload_id)
    if has_part:
        content = SimpleUploadedFile("part", example("/v1/uploads/{upload_id}/parts")["data"].encode())
        part = add_part(workspace_id=workspace.id, public_id=public_id(UPLOAD_PREFIX, upload_id), content=content, now=timezone.now())
        (part_id,) = example("/v1/uploads/{upload_id}/complete")["part_ids"]
        Part.objects.filter(id=part.id).update(id=UUID(hex=part_id[-32:]))


def example_model(schema: dict[str, Any]) -> str:
    """The model that all examples ask for."""
    parameters = schema["paths"]["/v1/models/{name}"]["get"]["parameters"]
    return str(next(entry["example"] for entry in parameters if entry["name"] == "name"))
