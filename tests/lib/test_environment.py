"""Variables are read with their types; a wrong one is named."""

import json
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from apps.lib.environment import Environment, EnvironmentInvalidError, read_environment


def env(**variables: str) -> Environment:
    return Environment(variables, {})


def test_a_variable_goes_before_the_stack_and_the_stack_before_the_default() -> None:
    both = Environment({"A": "1"}, {"A": "2", "B": "3"})
    assert (both.text("A"), both.text("B"), both.text("C", "4")) == ("1", "3", "4")


def test_an_empty_variable_counts_as_missing() -> None:
    assert not env(A="").is_set("A")
    with pytest.raises(EnvironmentInvalidError, match="A is not set"):
        env(A="").text("A")


@pytest.mark.parametrize(
    "read",
    [
        lambda: env(A="x").whole("A", 1),
        lambda: env(A="-1").whole("A", 1),
        lambda: env(A="0").whole("A", 1, at_least=1),
        lambda: env(A="1.5").whole("A", 1),
        lambda: env(A="x").seconds("A", 1),
        lambda: env(A="0").seconds("A", 1),
        lambda: env(A="inf").seconds("A", 1),
        lambda: env(A="nan").seconds("A", 1),
        lambda: env(A="maybe").flag("A"),
        *(partial(env(A=text).number, "A", 3) for text in ("x", "-1", "inf", "nan")),
        *(partial(env(A=text).each_of, "A", ("one", "two")) for text in ("three", "one,three", "One")),
        *(partial(env(A=text).ports, "A", "443") for text in ("0", "65536", "https", "443,-1", ",")),
        *(partial(env(A=text).networks, "A") for text in ("10.0.0.1/8", "ten", "10.0.0.0/8,x")),
        *(partial(env(A=text).folder, "A", "a", taken=("v1",)) for text in ("/", "v1", "/v1/x/", "a//b", "a b", "..", "ä", "a?", "a\nb")),
    ],
)
def test_a_wrong_value_is_refused_with_the_variables_name(read: Callable[[], object]) -> None:
    with pytest.raises(EnvironmentInvalidError, match=r"^A must be "):
        read()


def test_flags_and_lists() -> None:
    assert [env(A=text).flag("A") for text in ("1", "TRUE", "yes", "on", "0", "False", "no", "off")] == [True] * 4 + [False] * 4
    assert env(A=" a, ,b ,").listed("A") == ["a", "b"]


def test_numbers_and_some_of_several_words() -> None:
    assert [env(A=text).number("A", 3) for text in ("", "0", "2.5")] == [3, 0, 2.5]
    assert [env(A=text).each_of("A", ("one", "two")) for text in ("", "two", "one, two")] == [frozenset(), {"two"}, {"one", "two"}]


def test_ports_and_networks() -> None:
    assert env(A="443, 8443").ports("A", "1") == [443, 8443]
    assert env().ports("A", "443") == [443]
    assert env(A="10.0.0.0/8,fd00::/8").networks("A") == (IPv4Network("10.0.0.0/8"), IPv6Network("fd00::/8"))
    assert env().networks("A") == ()


def test_folders_have_a_slash_at_both_ends() -> None:
    found = [env(A=text).folder("A", "admin", taken=("v1",)) for text in ("", "desk", "/desk/", "in-side/the_desk/2", "v12")]
    assert found == ["/admin/", "/desk/", "/desk/", "/in-side/the_desk/2/", "/v12/"]


def test_a_running_stacks_variables_are_found(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    file.write_text(json.dumps({"environment": {"ONLY_THE_STACK_HAS_THIS": "yes"}}))
    file.chmod(0o600)
    assert read_environment(tmp_path).text("ONLY_THE_STACK_HAS_THIS") == "yes"
    file.chmod(0o644)
    with pytest.raises(EnvironmentInvalidError, match="chmod 600"):
        read_environment(tmp_path)
