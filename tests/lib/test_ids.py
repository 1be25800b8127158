"""Keys grow with time; public ids go out and come back."""

from uuid import UUID

import pytest

from apps.lib.ids import find_uuid, parse_public_id, public_id, uuid7


def test_uuid7_is_a_version_7_uuid_of_now_and_never_repeats() -> None:
    keys = [uuid7() for _ in range(10_000)]
    assert {(key.version, key.variant) for key in keys} == {(7, "specified in RFC 4122")}
    assert len(set(keys)) == len(keys)


def test_later_keys_are_greater() -> None:
    ends = [uuid7().int >> 64 for _ in range(1000)]
    assert ends == sorted(ends)


def test_a_public_id_comes_back_as_the_same_key() -> None:
    key = uuid7()
    assert public_id("batch_", key) == f"batch_{key.hex}"
    assert parse_public_id("batch_", f"batch_{key.hex}") == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "batch_",
        "file-" + "a" * 32,
        "a" * 32,
        "batch_" + "a" * 31,
        "batch_" + "a" * 33,
        "batch_" + "g" * 32,
        "batch_" + "\0" * 32,
        "batch_" + "-" * 32,
        f"batch_{UUID(int=1)}",
        "batch_{" + "a" * 30 + "}",
        "BATCH_" + "a" * 32,
    ],
)
def test_what_is_no_public_id_gives_none(text: str) -> None:
    assert parse_public_id("batch_", text) is None


@pytest.mark.parametrize(
    "form", ["{hex}", "{key}", "run_{hex}", "batch_{hex}", "file-{hex}", "batch_req_{hex}", "  item_{hex}\n", "RUN_{hex}"]
)
def test_a_pasted_id_is_found_in_every_form(form: str) -> None:
    key = uuid7()
    assert find_uuid(form.format(hex=key.hex, key=key)) == key


@pytest.mark.parametrize("text", ["", "question-1", "run_", "run_123", "z" * 32, "f" * 31, "f" * 33, "f" * 36, "order-" + "f" * 36])
def test_what_is_no_id_is_none(text: str) -> None:
    assert find_uuid(text) is None
