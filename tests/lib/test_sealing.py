"""A sealed secret opens for its owner alone, and under its own key."""

import base64

import pytest

from apps.lib.sealing import SealInvalidError, read_keys, seal, unseal

OLD = {"old": b"o" * 32}
NEW = {"new": b"n" * 32, "old": b"o" * 32}


def test_a_seal_opens_for_its_owner() -> None:
    sealed = seal("sk-secret", keys=OLD, owner="provider:1")
    assert "sk-secret" not in sealed
    assert unseal(sealed, keys=OLD, owner="provider:1") == "sk-secret"


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    assert seal("same", keys=OLD, owner="a") != seal("same", keys=OLD, owner="a")


def test_after_a_rotation_old_seals_open_and_new_ones_use_the_first_key() -> None:
    sealed = seal("secret", keys=OLD, owner="a")
    assert unseal(sealed, keys=NEW, owner="a") == "secret"
    assert seal("secret", keys=NEW, owner="a").startswith("new:")


def test_a_seal_of_another_owner_does_not_open() -> None:
    with pytest.raises(SealInvalidError, match="provider:2"):
        unseal(seal("secret", keys=OLD, owner="provider:1"), keys=OLD, owner="provider:2")


def test_a_seal_whose_key_is_gone_names_the_key() -> None:
    with pytest.raises(SealInvalidError, match="'old'"):
        unseal(seal("secret", keys=OLD, owner="a"), keys={"new": b"n" * 32}, owner="a")


@pytest.mark.parametrize("altered", ["", "old:", "old:AAAA", "old:%%%", "old:ü", "nonsense"])
def test_an_altered_seal_is_refused_in_words(altered: str) -> None:
    with pytest.raises(SealInvalidError):
        unseal(altered, keys=OLD, owner="a")


def test_each_flipped_byte_is_noticed() -> None:
    raw = base64.b64decode(seal("secret", keys=OLD, owner="a").removeprefix("old:"))
    for place in range(len(raw)):
        flipped = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(SealInvalidError):
            unseal(f"old:{base64.b64encode(flipped).decode()}", keys=OLD, owner="a")


def test_keys_are_read_in_order() -> None:
    encoded = base64.b64encode(b"k" * 32).decode()
    assert list(read_keys([f"b:{encoded}", f"a:{encoded}"])) == ["b", "a"]


@pytest.mark.parametrize("pair", ["a", "a:", ":" + base64.b64encode(b"k" * 32).decode(), "a:c2hvcnQ=", "a:not base64", "a:ü"])
def test_wrong_keys_are_refused_by_the_variables_name(pair: str) -> None:
    with pytest.raises(ValueError, match="AIPLATFORM_ENCRYPTION_KEYS"):
        read_keys([pair])
