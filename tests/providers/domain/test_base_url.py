"""Which addresses a provider may have."""

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from apps.providers.domain.base_url import is_base_url
from apps.providers.models import validate_base_url


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1", "http://127.0.0.1:9001/v1", "http://model-server:8000/v1/", "http://localhost/v1", "http://[::1]:8000/v1",
        "https://münchen.example/v1", "HTTPS://API.EXAMPLE/v1", "http://a",
    ],
)  # fmt: skip
def test_base_url_is_one(url: str) -> None:
    assert is_base_url(url)
    validate_base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "api.example/v1", "ftp://a/v1", "http://", "http:///v1", "http://u:p@a/v1", "http://u@a/v1", "http://a/v1?x=1", "http://a/v1?",
        "http://a/v1#x", "http://a b/v1", "http://a/v1\n", "http://[::1/v1", "http://a:99999/v1", "http://a:0/v1", "http://a:x/v1",
    ],
)  # fmt: skip
def test_base_url_is_none(url: str) -> None:
    assert not is_base_url(url)
    with pytest.raises(ValidationError):
        validate_base_url(url)


@given(st.text().map(lambda text: f"http://{text}"))
def test_base_url_never_raises(text: str) -> None:
    assert is_base_url(text) in {True, False}


@given(st.from_regex(r"https?://[a-z0-9.-]{1,20}(:[1-9][0-9]{0,3})?(/[a-z0-9]{0,5}){0,3}", fullmatch=True))
def test_base_url_can_be_posted_to(text: str) -> None:
    if is_base_url(text):
        assert URL(text + "/chat/completions").host
