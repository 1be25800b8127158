"""Signatures are those of Standard Webhooks: the specification's own example, and the official OpenAI package, agree."""

from datetime import UTC, datetime

from openai.lib._webhooks import webhook_signature_matches

from apps.webhooks.domain.signatures import make_secret, sign, sign_headers

# The example that the Standard Webhooks libraries carry in their tests.
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
_TIMESTAMP = 1614265330
_BODY = '{"test": 2432232314}'
_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_specifications_example() -> None:
    assert sign(_SECRET, event_id=_ID, timestamp=_TIMESTAMP, body=_BODY) == _SIGNATURE


def test_secrets_are_32_bytes_of_chance() -> None:
    first, second = make_secret(), make_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(first) == len("whsec_") + 44


def test_a_signature_for_each_secret_verifies_with_each() -> None:
    now = datetime.now(UTC)
    old, new, other = make_secret(), make_secret(), make_secret()
    headers = sign_headers([new, old], event_id=_ID, body=_BODY, now=now)
    assert headers["webhook-signature"].count("v1,") == 2

    def verifies(secret: str, body: str = _BODY) -> bool:
        return webhook_signature_matches(body, headers, secret=secret, tolerance=300)

    assert [verifies(secret) for secret in (new, old, other)] == [True, True, False]
    assert not verifies(new, _BODY + " ")
