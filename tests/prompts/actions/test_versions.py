"""Prompts get versions; what is published stays what it is."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import orjson
import pytest
from django.db import IntegrityError, transaction

from apps.accounts.models import AuditEntry
from apps.lib.http_errors import ApiError
from apps.prompts.actions import archive_version, create_prompt, publish_version, save_draft
from apps.prompts.domain.book import PromptUnknownError
from apps.prompts.domain.content import make_messages, read_content
from apps.prompts.models import Prompt, PromptVersion
from apps.prompts.queries import find_published, open_prompt_book
from tests.factories.accounts import make_workspace
from tests.factories.prompts import make_prompt, make_version

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def publish(prompt: Prompt, number: int) -> PromptVersion:
    return publish_version(workspace_id=prompt.workspace_id, prompt_id=prompt.id, number=number, now=NOW)


def archive(prompt: Prompt, number: int) -> PromptVersion:
    return archive_version(workspace_id=prompt.workspace_id, prompt_id=prompt.id, number=number, now=NOW)


def test_names_are_unique_in_a_workspace_and_short_words() -> None:
    acme, globex = make_workspace("acme"), make_workspace("globex")
    create_prompt(workspace_id=acme.id, name="letter", now=NOW)
    create_prompt(workspace_id=globex.id, name="letter", now=NOW)
    with pytest.raises(ApiError) as refused:
        create_prompt(workspace_id=acme.id, name="letter", now=NOW)
    assert (refused.value.status, refused.value.code) == (409, "name_taken")
    for name in ("", "Letter", "a b", "a@3", "-a", "a" * 51):
        with pytest.raises(ApiError) as refused:
            create_prompt(workspace_id=acme.id, name=name, now=NOW)
        assert refused.value.param == "name"


def test_a_draft_is_saved_over_until_it_is_published_and_then_a_new_one_begins() -> None:
    prompt = make_prompt()
    for text in ("one", "two"):
        version = save_draft(workspace_id=prompt.workspace_id, prompt_id=prompt.id, content=read_content(user=text), now=NOW)
    assert (version.number, version.user) == (1, "two")
    publish(prompt, 1)
    after = save_draft(workspace_id=prompt.workspace_id, prompt_id=prompt.id, content=read_content(user="three"), now=NOW)
    assert (after.number, after.state) == (2, "draft")
    prompt.refresh_from_db()
    assert prompt.current_number == 1


def test_an_older_version_is_published_again_to_roll_back_and_all_is_written_down() -> None:
    prompt = make_prompt()
    for text in ("one", "two"):
        make_version(prompt, user=text)
    assert open_prompt_book(prompt.workspace_id).find("letter", None).number == 2
    publish(prompt, 1)
    assert open_prompt_book(prompt.workspace_id).find("letter", None).content.user == "one"
    assert open_prompt_book(prompt.workspace_id).find("letter", 2).content.user == "two"
    publish(prompt, 1)
    entries = AuditEntry.objects.filter(object_id=prompt.id).order_by("id")
    assert list(entries.values_list("verb", flat=True)) == [
        "created", "began draft", "published", "began draft", "published", "rolled back",
    ]  # fmt: skip
    assert entries.last().changes == {"current version": {"before": 2, "after": 1}}  # type: ignore[union-attr]  # asserted above


def test_an_archived_version_is_used_no_more_until_it_is_published_again() -> None:
    prompt = make_prompt()
    make_version(prompt)
    archive(prompt, 1)
    archive(prompt, 1)
    book = open_prompt_book(prompt.workspace_id)
    for number, words in ((None, "has no published version"), (1, "is not published")):
        with pytest.raises(PromptUnknownError, match=words):
            book.find("letter", number)
    publish(prompt, 1)
    assert open_prompt_book(prompt.workspace_id).find("letter", None).label == "letter@1"
    save_draft(workspace_id=prompt.workspace_id, prompt_id=prompt.id, content=read_content(user="b"), now=NOW)
    with pytest.raises(ApiError, match="is a draft"):
        archive(prompt, 2)


def test_what_is_not_there_or_is_anothers_is_refused() -> None:
    prompt, stranger = make_prompt(), make_workspace("globex")
    make_version(prompt, user="a", model="gone", is_published=False)
    with pytest.raises(ApiError, match="model 'gone', which does not exist"):
        publish(prompt, 1)
    with pytest.raises(ApiError, match="has no version 7"):
        publish(prompt, 7)
    with pytest.raises(ApiError, match="No such prompt"):
        publish_version(workspace_id=stranger.id, prompt_id=prompt.id, number=1, now=NOW)
    with pytest.raises(PromptUnknownError, match="no prompt 'letter'"):
        open_prompt_book(stranger.id).find("letter", None)
    with pytest.raises(PromptUnknownError, match="is not published"):
        open_prompt_book(prompt.workspace_id).find("letter", 1)


@pytest.mark.parametrize(
    "change", [{"user": "other"}, {"system": "x"}, {"model_name": "x"}, {"variables": [1]}, {"parameters": '{"seed":1}'},
               {"output_schema": '{"type":"object"}'}, {"number": 9}, {"state": "draft"}, {"note": "x"}],
)  # fmt: skip
def test_the_database_lets_nobody_change_what_was_published(change: dict[str, object]) -> None:
    version = make_version(make_prompt())
    with pytest.raises(IntegrityError), transaction.atomic():
        PromptVersion.objects.filter(id=version.id).update(**change)
    archive(version.prompt, 1)
    with pytest.raises(IntegrityError), transaction.atomic():
        PromptVersion.objects.filter(id=version.id).update(**change)


def test_a_book_reads_a_versions_content_once_and_shows_one_standing(django_assert_num_queries: object) -> None:
    prompt = make_prompt()
    make_version(prompt, user="one")
    book = open_prompt_book(prompt.workspace_id)
    with django_assert_num_queries(3):  # type: ignore[operator]  # pytest-django ships no type for it
        for _ in range(20):
            assert book.find("letter", None).number == 1
            assert book.find("letter", 1).number == 1
    make_version(prompt, user="two")
    assert book.find("letter", None).number == 1


def test_a_book_reads_the_prompts_that_are_named_alone(django_assert_num_queries: object) -> None:
    workspace = make_workspace()
    for name in ("one", "two", "three"):
        make_version(make_prompt(workspace, name=name), user=name)
    book = open_prompt_book(workspace.id)
    assert book.find("one", 1).content.user == "one"
    archive(Prompt.objects.get(name="two"), 1)
    with pytest.raises(PromptUnknownError, match="Version 1 of the prompt 'two' is not published"):
        book.find("two", 1)
    with django_assert_num_queries(0):  # type: ignore[operator]  # pytest-django ships no type for it
        for number in range(20):
            with pytest.raises(PromptUnknownError, match="no prompt"):
                book.find(f"none-{number}", None)


def test_what_a_book_keeps_is_bounded_by_its_size(django_assert_num_queries: object) -> None:
    prompt = make_prompt()
    for number in range(1, 71):
        make_version(prompt, user=str(number))
    book = open_prompt_book(prompt.workspace_id)
    told = [book.find("letter", number).content.user for number in range(1, 71)]
    with django_assert_num_queries(0):  # type: ignore[operator]  # the same
        assert [book.find("letter", number).content.user for number in range(1, 71)] == told == [str(number) for number in range(1, 71)]
    small = replace(book, room=10)
    assert [small.find("letter", number).content.user for number in (1, 2)] == ["1", "2"]
    with django_assert_num_queries(1):  # type: ignore[operator]  # the same
        assert [small.find("letter", number).content.user for number in (2, 1)] == ["2", "1"]


def test_a_schema_and_parameters_keep_the_order_that_they_were_written_in() -> None:
    schema = {"type": "object", "properties": {"reasoning": {"type": "string"}, "answer": {}, "a": {}}, "required": ["answer"]}
    parameters = {"top_p": 1, "seed": 7, "logit_bias": {"zz": 1, "a": 2}}
    version = make_version(user="one", output_schema=schema, parameters=parameters)
    content = PromptVersion.objects.get(id=version.id).content
    assert orjson.dumps(content.output_schema) == orjson.dumps(schema)
    assert orjson.dumps(content.parameters) == orjson.dumps(parameters)
    with pytest.raises(IntegrityError), transaction.atomic():
        PromptVersion.objects.filter(id=version.id).update(output_schema=orjson.dumps(schema, option=orjson.OPT_SORT_KEYS).decode())


@pytest.mark.parametrize(
    ("name", "number", "field", "words"),
    [
        ("none", None, "id", "There is no prompt 'none'"),
        ("theirs", 1, "id", "There is no prompt 'theirs'"),
        ("No\0", None, "id", "There is no prompt"),
        ("empty", None, "id", "has no published version"),
        ("empty", 1, "version", "Version 1 of the prompt 'empty' is not published"),
        ("letter", 7, "version", "has no version 7"),
    ],
)
def test_a_single_look_and_a_book_refuse_the_same(name: str, number: int | None, field: str, words: str) -> None:
    workspace = make_workspace()
    make_version(make_prompt(workspace), user="one")
    make_version(make_prompt(workspace, name="empty"), is_published=False)
    make_version(make_prompt(make_workspace("globex"), name="theirs"))
    for find in (partial(find_published, workspace.id), open_prompt_book(workspace.id).find):
        with pytest.raises(PromptUnknownError, match=words) as refused:
            find(name, number)
        assert refused.value.field == field
        assert find("letter", None) == find("letter", 1)


def test_a_single_look_reads_one_version(django_assert_num_queries: object) -> None:
    prompt = make_prompt()
    for text in ("one", "two"):
        make_version(prompt, user=text)
    with django_assert_num_queries(2):  # type: ignore[operator]  # the same
        assert find_published(prompt.workspace_id, "letter", None).content.user == "two"
        assert find_published(prompt.workspace_id, "letter", 1).content.user == "one"


def test_a_version_that_was_written_before_a_rule_goes_on_working() -> None:
    kept = PromptVersion(user="<letter from={{ sender }}></letter>", variables=[{"name": "sender"}])
    assert make_messages(kept.content, {"sender": "a b"})[0]["content"] == "<letter from=a&#32;b></letter>"
