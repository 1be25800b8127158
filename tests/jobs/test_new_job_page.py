"""The page for a new job: what is chosen, what will be asked, and who may submit."""

from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Role, Workspace
from apps.files.models import File
from apps.jobs.actions import validate_job
from apps.jobs.models import Item, Job
from apps.providers.models import Target
from apps.spend.models import Price
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.jobs.batches import answer_all, input_line, jsonl, make_model, validated
from tests.spend.purses import make_budget

pytestmark = pytest.mark.django_db
TABLE = b"text,n\nhello,1\nworld,2\n"


@pytest.fixture
def workspace() -> Workspace:
    make_model()
    return make_workspace()


def send(client: Client, workspace: Workspace, upload: bytes | None = TABLE, *, name: str = "words.csv", **values: str) -> Any:
    form = {"workspace": str(workspace.id), "model": "small", "user": "Translate {{text}}", "lane": "bulk", "step": "preview"} | values
    files = {"upload": SimpleUploadedFile(name, upload)} if upload is not None else {}
    return client.post(reverse("admin:jobs_job_new"), form | files)


def test_a_table_is_looked_at_and_then_submitted(workspace: Workspace) -> None:
    client = make_office_client()
    page = send(client, workspace)
    assert "Translate hello" in page.content.decode()
    assert Job.objects.count() == 0
    file = File.objects.get()
    assert file.expires_at is not None
    answer = send(client, workspace, None, file_id=str(file.id), step="submit")
    job = Job.objects.get()
    assert answer.url == reverse("admin:jobs_job_change", args=[job.pk])
    assert (job.table_file_id, job.lane, job.workspace_id) == (file.id, "bulk", workspace.id)
    assert job.created_by is not None
    kept = File.objects.get()
    assert kept.expires_at is not None
    assert kept.expires_at > file.expires_at


def test_a_batch_file_is_submitted_as_the_api_does(workspace: Workspace) -> None:
    client = make_office_client()
    page = send(client, workspace, jsonl([input_line("a")]), name="lines.jsonl", user="")
    assert "a (line 1)" in page.content.decode()
    send(client, workspace, None, file_id=str(File.objects.get().id), user="", step="submit")
    assert Job.objects.get().input_file_id == File.objects.get().id


@pytest.mark.parametrize(
    ("values", "upload", "message"),
    [
        ({}, None, "Choose a file."),
        ({"user": " "}, TABLE, "Say what is to be asked for each row"),
        ({"user": "{{nope}}"}, TABLE, "no column &#x27;nope&#x27;"),
        ({}, b"text\na,b\n", "Line 2: It has 2 cells; the header has 1."),
        ({"temperature": "9"}, TABLE, "less than or equal to 2"),
        ({"lane": "urgent"}, TABLE, "urgent is not one of the available choices"),
    ],
)
def test_what_is_wrong_is_said_beside_it_and_nothing_is_submitted(
    values: dict[str, str], upload: bytes | None, message: str, workspace: Workspace
) -> None:
    page = send(make_office_client(), workspace, upload, step="submit", **values)
    assert page.status_code == 200
    assert message in page.content.decode()
    assert Job.objects.count() == 0


def test_markup_in_cells_and_names_is_shown_as_text(workspace: Workspace) -> None:
    page = send(make_office_client(), workspace, b"text,<script>x</script>\n<img src=x onerror=alert(1)>,2\n", name="<b>.csv")
    text = page.content.decode()
    assert "<script>x" not in text
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_a_file_of_another_workspace_is_not_found(workspace: Workspace) -> None:
    send(make_office_client(), workspace)
    stranger = make_office_client(make_user("bob", other=Role.MEMBER))
    page = send(stranger, make_workspace("other"), None, file_id=str(File.objects.get().id))
    assert "The file is gone" in page.content.decode()


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, 403), (Role.MEMBER, 200), (Role.OWNER, 200)])
def test_members_submit_and_viewers_look(role: Role, status: int, workspace: Workspace) -> None:
    client = make_office_client(make_user("ada", acme=role))
    assert client.get(reverse("admin:jobs_job_new")).status_code == status


def test_another_workspace_cannot_be_chosen(workspace: Workspace) -> None:
    page = send(make_office_client(make_user("ada", acme=Role.MEMBER)), make_workspace("other"), step="submit")
    assert "Select a valid choice" in page.content.decode()
    assert workspace.jobs.count() == 0


@pytest.mark.parametrize(("form", "status"), [("csv", 200), ("xlsx", 200), ("jsonl", 200), ("pdf", 404)])
def test_downloads_are_named_and_only_for_those_who_may_see(form: str, status: int, workspace: Workspace) -> None:
    job = Job.objects.create(workspace=workspace, kind="batch", status="running", endpoint="/v1/chat/completions")
    address = reverse("admin:jobs_job_download", args=[job.pk]) + f"?as={form}"
    answer = make_office_client().get(address)
    assert answer.status_code == status
    if status == 200:
        assert f'filename="{job.public_id}-results.{form}"' in answer.headers["Content-Disposition"]
        assert b"".join(answer.streaming_content) or form == "jsonl"
    assert make_office_client(make_user("bob", other=Role.OWNER)).get(address).status_code == 404


SCHEMA = '{"type": "object", "required": ["n"]}'


def test_how_answers_are_come_by_goes_with_a_table(workspace: Workspace) -> None:
    make_model("tiny")
    client = make_office_client()
    chosen = {
        "cache": "3600", "output_contract": "on", "answer_schema": SCHEMA, "first_model": "tiny", "accept_if": "schema", "failover": "off",
    }  # fmt: skip
    page = send(client, workspace, **chosen).content.decode()
    assert '<details open id="policy">' in page
    assert "Submit the job" in page
    send(client, workspace, None, file_id=str(File.objects.get().id), step="submit", **chosen)
    job = Job.objects.get()
    assert job.policy == {"cache_seconds": 3600, "has_contract": True, "first_model": "tiny", "accept_if": "schema", "has_failover": False}
    assert job.first_model_name == "tiny"
    assert job.table is not None
    assert job.table["response_format"]["json_schema"]["schema"] == {"type": "object", "required": ["n"]}
    shown = client.get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode()
    for text in ("From the cache", "tiny did", "Repaired", "tiny is asked first", "no failover"):
        assert text in shown


@pytest.mark.parametrize("chosen", [{"answer_schema": SCHEMA}, {"cache": "on"}, {"output_contract": "on"}, {"failover": "off"}])
def test_each_choice_alone_keeps_its_part_of_the_page_open(workspace: Workspace, chosen: dict[str, str]) -> None:
    page = send(make_office_client(), workspace, **chosen).content.decode()
    assert "Submit the job" in page
    assert '<details open id="policy">' in page


def test_without_a_choice_it_stays_closed(workspace: Workspace) -> None:
    assert '<details id="policy">' in send(make_office_client(), workspace, failover="on").content.decode()


def test_how_answers_are_come_by_goes_with_a_batch_file(workspace: Workspace) -> None:
    client = make_office_client()
    lines = jsonl([input_line("a", body={"model": "small", "messages": [], "response_format": {"type": "json_object"}})])
    send(client, workspace, lines, name="lines.jsonl", user="", output_contract="on", cache="on")
    send(client, workspace, None, file_id=str(File.objects.get().id), user="", step="submit", output_contract="on", cache="on")
    job = Job.objects.get()
    assert job.metadata == {"priority": "bulk", "cache": "on", "output_contract": "on"}
    assert job.policy == {"cache_seconds": 86400, "has_contract": True}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"answer_schema": "{"}, "It is not JSON"),
        ({"answer_schema": "[]"}, "A JSON schema is an object"),
        ({"answer_schema": '{"$ref": "http://x/"}', "output_contract": "on"}, "only places inside itself"),
        ({"accept_if": "schema"}, "judges the answers of a first model"),
        ({"first_model": "small"}, "which is the first model as well"),
    ],
)
def test_what_makes_no_sense_of_it_is_told_at_its_field(workspace: Workspace, values: dict[str, str], message: str) -> None:
    page = send(make_office_client(), workspace, step="submit", **values).content.decode()
    assert message in page
    assert '<details open id="policy">' in page
    assert Job.objects.count() == 0


def test_lines_without_a_contract_are_told_before_they_are_submitted(workspace: Workspace) -> None:
    page = send(
        make_office_client(), workspace, jsonl([input_line("a")]), name="lines.jsonl", user="", output_contract="on"
    ).content.decode()
    assert "Line 1" in page
    assert "json_object" in page


def test_the_lines_say_which_endpoint_they_are_for(workspace: Workspace) -> None:
    lines = [{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": "small", "input": "Größe"}}]
    page = send(make_office_client(), workspace, jsonl(lines), name="lines.jsonl", user="").content.decode()
    assert "<code>/v1/embeddings</code>" in page
    assert "&quot;input&quot;: &quot;Größe&quot;" in page
    send(make_office_client(make_user("cleo", acme=Role.MEMBER)), workspace, jsonl(lines), name="lines.jsonl", user="", step="submit")
    assert Job.objects.get().endpoint == "/v1/embeddings"


def test_a_line_for_another_endpoint_is_told_by_its_number(workspace: Workspace) -> None:
    lines = [input_line("a"), input_line("b", url="/v1/embeddings")]
    page = send(make_office_client(), workspace, jsonl(lines), name="lines.jsonl", user="", step="submit").content.decode()
    assert "Line 2: url &#x27;/v1/embeddings&#x27; is not the batch&#x27;s endpoint &#x27;/v1/chat/completions&#x27;" in page
    assert Job.objects.count() == 0


def test_cells_that_look_like_formulas_are_pointed_out(workspace: Workspace) -> None:
    office = make_office_client()
    page = send(office, workspace, b"text,n\n=1+1,-5\n@SUM(A1),2\nplain,3\n").content.decode()
    assert "2 cells look like a formula (<code>=1+1</code>)" in page
    assert "look like a formula" not in send(office, workspace).content.decode()


def test_what_it_may_cost_and_which_budgets_it_touches_stands_beside_it(workspace: Workspace) -> None:
    target = Target.objects.get(upstream_model="small")
    Price.objects.create(
        provider_id=target.provider_id, upstream_model="small", effective_from=timezone.now(),
        input_usd_per_million=Decimal(1000), output_usd_per_million=Decimal(1000),
    )  # fmt: skip
    make_budget("workspace", "0.5", workspace=workspace, period="month")
    client = make_office_client()
    page = send(client, workspace).content.decode()
    for text in (
        "Likely cost",
        "Cost at the very most",
        "Nothing was asked of it yet",
        "workspace acme, month",
        "$0.5000 of $0.50",
        "it will wait",
    ):
        assert text in page
    page = send(client, workspace, max_tokens="10").content.decode()
    assert "it will wait" not in page
    assert "Over in about" in page


def test_answers_of_an_earlier_job_are_taken_over(workspace: Workspace) -> None:
    client = make_office_client()
    content = jsonl([input_line("a"), input_line("b")])
    first = validated(content)
    answer_all(first)
    page = send(client, workspace, content, name="lines.jsonl", user="", reuse="batch_nonsense").content.decode()
    assert "No such batch: &#x27;batch_nonsense&#x27;" in page
    assert "Submit the job" not in page
    send(client, workspace, content, name="lines.jsonl", user="", reuse=first.public_id, step="submit")
    job = Job.objects.latest("created_at")
    assert (job.reuses_job_id, job.metadata) == (first.id, {"priority": "bulk", "reuse": first.public_id})
    validate_job(job_id=job.id, clock=timezone.now)
    page = client.get(reverse("admin:jobs_job_change", args=[job.pk])).content.decode()
    assert 'id="tile-reused"' in page
    item = Item.objects.filter(job=job).earliest("id")
    page = client.get(reverse("admin:jobs_item_change", args=[item.pk])).content.decode()
    assert reverse("admin:jobs_item_change", args=[item.reused_item_id]) in page
