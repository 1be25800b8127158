"""The catalogue as workers see it."""

import pytest
from django.conf import settings
from django.test.utils import CaptureQueriesContext

from apps.providers.actions import save_provider_key
from apps.providers.models import Provider, Target
from apps.providers.queries import load_catalogue
from tests.factories.providers import make_model, make_provider

pytestmark = pytest.mark.django_db


def test_catalogue_routes_in_failover_order() -> None:
    first, second = make_provider("first"), make_provider("second")
    model = make_model("small", first, second)
    catalogue = load_catalogue()
    assert catalogue.model_names() == ["small"]
    assert catalogue.model_id("small") == model.id
    assert [route.provider_name for route in catalogue.routes(model.id)] == ["first", "second"]
    Target.objects.filter(provider=first).update(position=5)
    assert [route.provider_name for route in load_catalogue().routes(model.id)] == ["second", "first"]


def test_catalogue_leaves_out_what_is_switched_off() -> None:
    on, off = make_provider("on"), make_provider("off", is_enabled=False)
    model = make_model("small", on, off)
    hidden = make_model("hidden", on, is_enabled=False)
    catalogue = load_catalogue()
    assert (catalogue.model_id("hidden"), catalogue.model_id("nobody")) == (None, None)
    assert [route.provider_name for route in catalogue.routes(model.id)] == ["on"]
    Target.objects.filter(model=model).update(is_enabled=False)
    assert load_catalogue().routes(model.id) == ()
    assert hidden.id not in load_catalogue().ids.values()


def test_catalogue_route_is_ready_to_be_called() -> None:
    provider = make_provider(
        base_url="https://llm.example/v1/", connect_timeout_seconds=2, read_timeout_seconds=20, total_timeout_seconds=60
    )
    save_provider_key(provider_id=provider.id, api_key=" sk-secret\n")
    model = make_model("small", provider)
    (route,) = load_catalogue().routes(model.id)
    assert (route.kind, route.base_url, route.api_key, route.upstream_model) == (
        "openai", "https://llm.example/v1", "sk-secret", "small-upstream",
    )  # fmt: skip
    assert (route.connect_timeout_seconds, route.read_timeout_seconds, route.total_timeout_seconds) == (2, 20, 60)


def test_catalogue_takes_two_queries(django_assert_num_queries: type[CaptureQueriesContext]) -> None:
    for number in range(5):
        make_model(f"m{number}", make_provider(f"a{number}"), make_provider(f"b{number}"))
    with django_assert_num_queries(2):
        load_catalogue()


def test_a_key_is_stored_sealed_and_for_its_provider_alone() -> None:
    first, second = make_provider("first"), make_provider("second")
    save_provider_key(provider_id=first.id, api_key="sk-secret")
    first.refresh_from_db()
    assert "sk-secret" not in first.api_key_sealed
    assert first.api_key_sealed.startswith(next(iter(settings.ENCRYPTION_KEYS)) + ":")
    Provider.objects.filter(id=second.id).update(api_key_sealed=first.api_key_sealed)
    model = make_model("small", first, second)
    assert [route.api_key for route in load_catalogue().routes(model.id)] == ["sk-secret", ""]


def test_an_empty_key_removes_it() -> None:
    provider = make_provider()
    save_provider_key(provider_id=provider.id, api_key="sk-secret")
    save_provider_key(provider_id=provider.id, api_key="")
    model = make_model("small", provider)
    assert load_catalogue().routes(model.id)[0].api_key == ""
