"""A platform that has been in use for a while: rows of every kind, in every state, with the words and numbers that people know."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group
from django.utils import timezone
from django_celery_results.models import TaskResult

from apps.accounts.models import ActorKind, ApiKey, AuditEntry, Member, Role, User
from apps.conversations import actions
from apps.conversations.actions import Origin
from apps.conversations.domain.memory import Change, Kind, Source
from apps.conversations.models import Profile
from apps.jobs.actions import declare_recipe
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Item, Job
from apps.lib.ids import uuid7
from apps.ops.actions.probe_conversations import probe_conversations
from apps.traces.models import Exchange, Run
from apps.webhooks.domain.alerts import Severity
from tests.factories.accounts import make_api_key, make_user, make_workspace
from tests.factories.alerts import PLATFORM, make_alert
from tests.factories.conversations import make_profile
from tests.factories.files import make_file
from tests.factories.jobs import make_job, make_pump, make_route
from tests.factories.prompts import make_prompt, make_version

LONG_NAME = "Preisliste Herbst 2026 (endgültig) mit einem recht langen Namen.csv"
LETTER = "<letter>\n{{ letter }}\n</letter>"
LIMITED = {"requests_per_minute": 600, "tokens_per_minute": 200_000, "input_tokens_per_minute": 150_000, "max_concurrency": 100}


def live_in() -> Job:
    """The job that has something of everything."""
    _people()
    route = make_route()
    type(route.provider).objects.filter(pk=route.provider.pk).update(**LIMITED)
    make_route("large", upstream_model="gpt-x-2026-08-06", provider_name="backup-in-frankfurt")
    marketing = make_workspace("Marketing & Sales")
    for status, done, dead in ((JobStatus.COMPLETED, 4, 0), (JobStatus.PAUSED, 1, 0), (JobStatus.CANCELLED, 1, 1)):
        ended_at = timezone.now() if status in {JobStatus.COMPLETED, JobStatus.CANCELLED} else None
        make_job(workspace=marketing, status=status, done=done, dead=dead, running=0, waiting=1, lane="bulk", ended_at=ended_at)
    errors = [
        {
            "line": 3,
            "code": "invalid_json_line",
            "message": "This line must be a JSON object.",
            "param": None,
        }
    ]
    make_job(workspace=marketing, status=JobStatus.FAILED, done=0, dead=0, running=0, waiting=0, errors=errors, ended_at=timezone.now())
    metadata = {"priority": "default", "feature": "product-texts", "ticket": "SHOP-1482", "note": "Herbstkatalog, Teil 2: Größen und Maße"}
    job = make_job(done=5, dead=2, running=2, waiting=4, metadata=metadata, feature="product-texts", end_user="ada@example.org")
    _prompt()
    _recipe()
    remember_people()
    make_pump()
    make_pump("exec-interactive", pid=4712, in_flight=1, done=312)
    _records(job)
    return job


def _prompt() -> None:
    """With versions to compare, and a draft."""
    prompt = make_prompt(make_workspace(), name="antwort-auf-reklamationen.de")
    kept = "\n".join(f"Rule {number}: be friendly, brief and exact." for number in range(20))
    texts: dict[str, Any] = {"user": LETTER, "variables": [{"name": "letter"}]}
    for tone in ("dry", "warm"):
        make_version(prompt, system=f"{kept}\nAnswer in a {tone} tone.\n{kept}", parameters={"temperature": 0}, **texts)
    make_version(prompt, is_published=False, system="Answer politely.", output_schema={"type": "object"}, **texts)


def _recipe() -> None:
    """With two numbers to compare."""
    for words in (150, 80):
        declare_recipe(
            workspace_id=make_workspace().id,
            name="zusammenfassung.de",
            kind="summarise",
            declared={"model": "small", "words": words, "language": "German", "instructions": "Mind dates and amounts."},
            description="A short summary of each contract.",
            now=timezone.now(),
        )


def remember_people() -> Profile:
    """Somebody of whom models, programs and staff had things remembered; and a look that found what somebody else had written."""
    workspace = make_workspace()
    wrong = make_profile(workspace, "grace@example.org")
    Profile.objects.filter(pk=wrong.pk).update(memory={})
    profile = make_profile(workspace, "ada@example.org", name="Ada", language="Answers in English, please.", town="London")
    told: dict[str, Any] = {"workspace_id": workspace.id, "end_user": profile.end_user, "item_id": uuid7(), "now": timezone.now()}
    actions.remember(**told, key="diet", text="Eats no meat, and is allergic to nuts:\nhazelnuts above all.", once_key="call-1")
    actions.remember(**told, key="town", text="Has moved to Lyon.", once_key="call-2")
    actions.forget(**told, key="name", once_key="call-3")
    staff = Origin(Source.STAFF, user_id=User.objects.get(username="ada").pk, why="She asked for it on the phone.")
    told_anew = Change(Kind.SET, "language", "Answers in French, please.")
    actions.change_memory(profile_id=profile.id, change=told_anew, origin=staff, now=timezone.now())
    probe_conversations(now=timezone.now(), chance=0)
    profile.refresh_from_db()
    return profile


def _people() -> None:
    ada = make_user("ada", acme=Role.OWNER)
    User.objects.filter(pk=ada.pk).update(first_name="Ada", last_name="Lovelace", email="ada@example.org")
    Member.objects.create(workspace=make_workspace(), user=make_user("grace"), role=Role.VIEWER)
    Group.objects.create(name="night shift")
    live, _ = make_api_key(make_workspace())
    ApiKey.objects.filter(pk=live.pk).update(name="nightly import", last_used_at=timezone.now() - timedelta(minutes=3))
    revoked, _ = make_api_key(make_workspace())
    ApiKey.objects.filter(pk=revoked.pk).update(name="old laptop", revoked_at=timezone.now())
    make_file(
        b"a,b\n1,2\n" * 5000,
        filename=LONG_NAME,
        purpose="user_data",
        now=timezone.now(),
    )


def _records(job: Job) -> None:
    reported = '{"interactive": {"waiting": 0, "running": 1}, "default": {"waiting": 4, "running": 2}}'
    TaskResult.objects.create(task_id="one", task_name="jobs.report", status="SUCCESS", result=reported, worker="control@host-1")
    AuditEntry.objects.create(
        actor_kind=ActorKind.USER, actor_label="ada", verb="moved to another lane", object_type="job", object_id=str(job.pk),
        object_label=job.public_id, workspace=job.workspace, changes={"lane": {"before": "bulk", "after": "default"}},
        reason="The catalogue goes to print tonight.", request_id="req_01a1fdc62dad7ab297d4f2c0a4f2433c", address="10.0.0.7",
    )  # fmt: skip
    make_alert(severity=Severity.CRITICAL, fingerprint="poison", kind="dead.poison", title="1 item killed the worker that ran it alone")
    make_alert(title=f"1,204 of 38,000 items of {LONG_NAME} are dead")
    make_alert(PLATFORM, severity=Severity.INFO, fingerprint="a", title="primary has not answered for small for 7 minutes", path="")
    make_alert(fingerprint="one more")
    newest = Item.objects.filter(job=job, state="done").latest("id")
    Item.objects.filter(pk=newest.pk).update(end_user="ada@example.org", feature="product-texts", cost_usd=Decimal("0.000125"))
    headers = {"x-ratelimit-remaining-requests": "597", "x-ratelimit-reset-requests": "1s"}
    Exchange.objects.filter(run_id__in=Run.objects.filter(item_id=newest.pk).values("id")).update(headers=headers)
