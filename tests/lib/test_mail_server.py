"""EMAIL_URL: what it may look like, and that a wrong one is told without its password."""

import pytest

from apps.lib.environment import Environment, EnvironmentInvalidError
from apps.lib.mail_server import MailServer, MailServerInvalidError, read_mail_server


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("", None),
        ("console://", MailServer("console")),
        ("smtp://relay", MailServer("smtp", "relay", 25)),
        ("smtp://[::1]:2525", MailServer("smtp", "::1", 2525)),
        ("smtp+tls://u:p%40%2F@mail.example.com", MailServer("smtp+tls", "mail.example.com", 587, "u", "p@/")),
        ("smtps://u%40example.com:p@mail.example.com:4650/", MailServer("smtps", "mail.example.com", 4650, "u@example.com", "p")),
    ],
)
def test_what_it_says(url: str, server: MailServer | None) -> None:
    assert read_mail_server(url) == server


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mail.example.com:587", "begins with"),
        ("https://mail.example.com", "begins with 'https:'"),
        ("smtp://", "names no host"),
        ("smtp://host:port", "can't be read"),
        ("smtp://host:99999", "can't be read"),
        ("smtp://[::1", "can't be read"),
        ("smtp://secret@host", "come together"),
        ("smtp://u:secret@host/path", "nothing may follow"),
        ("smtp://u:sec#ret@host", "can't be read"),
        ("smtp://host?tls=1", "nothing may follow"),
    ],
)
def test_what_is_wrong_with_it(url: str, told: str) -> None:
    with pytest.raises(MailServerInvalidError, match=told) as refused:
        read_mail_server(url)
    assert "secret" not in str(refused.value)
    with pytest.raises(EnvironmentInvalidError, match=r"^EMAIL_URL must look like smtp"):
        Environment({"EMAIL_URL": url}, {}).mail_server("EMAIL_URL")


def test_a_password_does_not_show() -> None:
    assert "hidden" not in repr(read_mail_server("smtps://u:hidden@host"))


@pytest.mark.parametrize("text", ["alerts", "a b@c d", "a@b\nBcc: c@d", "@example.com", "alerts@"])
def test_a_wrong_address_is_named(text: str) -> None:
    with pytest.raises(EnvironmentInvalidError, match=r"^EMAIL_FROM must be an e-mail address"):
        Environment({"EMAIL_FROM": text}, {}).address("EMAIL_FROM", "a@b")


@pytest.mark.parametrize("text", ["platform.example.com", "ftp://a", "https://", "https://a/b", "https://a?b", "https://a#b"])
def test_a_wrong_site_is_named(text: str) -> None:
    with pytest.raises(EnvironmentInvalidError, match=r"^AIPLATFORM_URL must look like https://"):
        Environment({"AIPLATFORM_URL": text}, {}).site("AIPLATFORM_URL", "http://a")


def test_right_ones_are_taken() -> None:
    env = Environment({"EMAIL_FROM": "us <alerts@example.com>", "AIPLATFORM_URL": "https://platform.example.com/"}, {})
    assert env.address("EMAIL_FROM", "") == "us <alerts@example.com>"
    assert env.site("AIPLATFORM_URL", "") == "https://platform.example.com"
