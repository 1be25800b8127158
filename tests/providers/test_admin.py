"""Providers in the back office: the key goes in and never comes out."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Role
from apps.lib.sealing import seal, unseal
from apps.providers.actions import save_provider_key
from apps.providers.admin.catalogue import ProviderAdmin
from apps.providers.models import Model, Provider
from tests.factories.accounts import make_office_client, make_user
from tests.factories.jobs import make_route

pytestmark = pytest.mark.django_db
KEY = "sk-very-secret-0123456789"


@pytest.fixture
def office() -> Client:
    return make_office_client()


def form(**values: object) -> dict[str, object]:
    return {
        "name": "primary", "kind": "openai", "base_url": "http://127.0.0.1:9001/v1", "is_enabled": "on", "connect_timeout_seconds": "5",
        "read_timeout_seconds": "300", "total_timeout_seconds": "300", "reason": "as agreed",
    } | values  # fmt: skip


def key_of(provider: Provider) -> str:
    return unseal(provider.api_key_sealed, keys=settings.ENCRYPTION_KEYS, owner=provider.seal_owner)


def test_a_key_is_stored_sealed_and_on_no_page(office: Client) -> None:
    answer = office.post(reverse("admin:providers_provider_add"), form(api_key=KEY))
    assert answer.status_code == 302
    provider = Provider.objects.get()
    assert KEY not in provider.api_key_sealed
    assert key_of(provider) == KEY
    for page in (reverse("admin:providers_provider_changelist"), reverse("admin:providers_provider_change", args=[provider.id])):
        content = office.get(page).content.decode()
        assert KEY not in content
        assert provider.api_key_sealed not in content


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (KEY, "ends in 6789"),
        ("k" * 16 + "-end", "ends in -end"),
        ("k" * 15 + "-end", "set"),
        ("zq~", "set"),
        ("", "none"),
        ("k" * 20 + "<b>&", "ends in &lt;b&gt;&amp;"),
    ],
)
def test_of_a_key_that_is_long_enough_the_last_four_characters_are_shown(office: Client, key: str, shown: str) -> None:
    office.post(reverse("admin:providers_provider_add"), form(api_key=key))
    provider = Provider.objects.get()
    for page in (reverse("admin:providers_provider_changelist"), reverse("admin:providers_provider_change", args=[provider.id])):
        content = office.get(page).content.decode()
        assert re.search(rf">\s*{re.escape(shown)}\s*<", content)
        assert "ends in" not in content.replace(shown, "")
        # One more would be shown of no key.
        assert not key or key[-5:] not in content


def test_a_key_that_does_not_open_says_so(office: Client) -> None:
    office.post(reverse("admin:providers_provider_add"), form(api_key=KEY))
    Provider.objects.update(api_key_sealed=seal(KEY, keys={"gone": b"x" * 32}, owner=Provider.objects.get().seal_owner))
    assert "does not open: enter it anew" in office.get(reverse("admin:providers_provider_changelist")).content.decode()


def test_nothing_of_a_key_is_stored_beside_its_seal(office: Client) -> None:
    """A dump tells nobody what the page shows."""
    office.post(reverse("admin:providers_provider_add"), form(api_key="k" * 30 + "~4fG"))
    tables = [model._meta.db_table for model in apps.get_models()]
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}" AS t WHERE t::text LIKE %s', ["%~4fG%"])
            assert cursor.fetchone() == (0,), table
    assert len(tables) > 30


def test_an_empty_key_leaves_the_stored_one(office: Client) -> None:
    office.post(reverse("admin:providers_provider_add"), form(api_key=KEY))
    provider = Provider.objects.get()
    office.post(reverse("admin:providers_provider_change", args=[provider.id]), form(name="renamed"))
    provider.refresh_from_db()
    assert (provider.name, key_of(provider)) == ("renamed", KEY)


def test_a_key_that_is_replaced_while_the_form_is_saved_stays_replaced(office: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    office.post(reverse("admin:providers_provider_add"), form(api_key=KEY))
    provider = Provider.objects.get()
    save_form = ProviderAdmin.save_form

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        save_provider_key(provider_id=provider.pk, api_key="sk-newer")
        return save_form(*arguments, **options)

    monkeypatch.setattr(ProviderAdmin, "save_form", meanwhile)
    office.post(reverse("admin:providers_provider_change", args=[provider.id]), form(name="renamed", max_concurrency="7"))
    provider.refresh_from_db()
    assert (provider.name, provider.max_concurrency, key_of(provider)) == ("renamed", 7, "sk-newer")


def test_a_refused_form_does_not_send_the_key_back(office: Client) -> None:
    page = office.post(reverse("admin:providers_provider_add"), form(api_key=KEY, total_timeout_seconds="901")).content.decode()
    assert "less than or equal to 900" in page
    assert KEY not in page
    assert not Provider.objects.exists()


def test_a_base_url_must_be_one(office: Client) -> None:
    page = office.post(reverse("admin:providers_provider_add"), form(base_url="not a url")).content.decode()
    assert "The address must begin with http" in page


@pytest.mark.parametrize("address", ["http://127.0.0.1:9002/v1", "http://127.0.0.2:9001/v1", "https://127.0.0.1:9001/v1"])
def test_a_stored_key_does_not_go_to_another_server(office: Client, address: str) -> None:
    office.post(reverse("admin:providers_provider_add"), form(api_key=KEY))
    provider = Provider.objects.get()
    change = reverse("admin:providers_provider_change", args=[provider.id])
    for nothing in ("", "  "):
        page = office.post(change, form(base_url=address, api_key=nothing)).content.decode()
        assert "Enter the key again: the address changed." in page
    provider.refresh_from_db()
    assert (provider.base_url, key_of(provider)) == ("http://127.0.0.1:9001/v1", KEY)
    assert office.post(change, form(base_url=address, api_key="sk-again")).status_code == 302
    provider.refresh_from_db()
    assert (provider.base_url, key_of(provider)) == (address, "sk-again")


def test_another_path_of_the_same_server_keeps_the_key(office: Client) -> None:
    office.post(reverse("admin:providers_provider_add"), form(api_key=KEY, base_url="https://llm.example/v1"))
    provider = Provider.objects.get()
    address = "https://LLM.example:443/v2"
    assert office.post(reverse("admin:providers_provider_change", args=[provider.id]), form(base_url=address)).status_code == 302
    provider.refresh_from_db()
    assert (provider.base_url, key_of(provider)) == (address, KEY)


def test_a_provider_without_a_key_moves_freely(office: Client) -> None:
    office.post(reverse("admin:providers_provider_add"), form())
    change = reverse("admin:providers_provider_change", args=[Provider.objects.get().id])
    assert office.post(change, form(base_url="http://127.0.0.1:9009/v1")).status_code == 302


def test_a_model_with_its_targets(office: Client) -> None:
    provider = make_route().provider
    data = {
        "name": "large", "max_output_tokens": 4096, "is_enabled": "on", "targets-TOTAL_FORMS": 1, "targets-INITIAL_FORMS": 0,
        "targets-0-provider": provider.pk, "targets-0-upstream_model": "gpt-x", "targets-0-position": 0, "targets-0-is_enabled": "on",
    }  # fmt: skip
    assert office.post(reverse("admin:providers_model_add"), data).status_code == 302
    assert [target.upstream_model for target in Model.objects.get(name="large").targets.all()] == ["gpt-x"]
    assert "gpt-x at primary" in office.get(reverse("admin:providers_model_changelist")).content.decode()


def test_a_model_that_nobody_answers_for_says_so(office: Client) -> None:
    Model.objects.create(name="orphan")
    assert "nobody: give it a target" in office.get(reverse("admin:providers_model_changelist")).content.decode()


def test_a_target_leads_to_its_prices(office: Client) -> None:
    route = make_route()
    page = office.get(reverse("admin:providers_model_change", args=[route.model.id])).content.decode()
    assert f"{reverse('admin:spend_price_add')}?provider_id={route.provider.id}&amp;upstream_model=gpt-x-mini" in page


@pytest.mark.parametrize("name", ["providers_provider", "providers_model", "spend_price", "jobs_pump", "django_celery_results_taskresult"])
def test_what_belongs_to_the_platform_is_for_superusers(name: str) -> None:
    client = make_office_client(make_user(acme=Role.OWNER))
    assert client.get(reverse(f"admin:{name}_changelist")).status_code == 403
