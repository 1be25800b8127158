"""Begin to set up a second factor: a secret for the app, which counts once a code of it has been entered."""

from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from apps.accounts.domain.second_factor import FactorStandsError, make_totp_secret, mark_of, provisioning_uri
from apps.accounts.models import Authenticator, User
from apps.lib.sealing import SealInvalidError, seal, unseal


@dataclass(frozen=True, slots=True)
class NewFactor:
    """What the app needs: the secret in base32, and the same as an address for a QR code. `mark` is for the session that was shown it."""

    secret: str
    uri: str
    mark: str


@transaction.atomic
def begin_second_factor(user: User, *, mark: str = "") -> NewFactor:
    """The same secret again for the session that has its mark, a new one for any other: whoever else saw it may be somebody else.

    FactorStandsError when there is a second factor already.
    """
    row, _ = Authenticator.objects.select_for_update().get_or_create(user=user, defaults={"name": "app", "confirmed": False})
    if row.confirmed:
        raise FactorStandsError
    secret = _known(row) if row.secret_sealed else ""
    if not secret or mark != mark_of(secret):
        secret = make_totp_secret()
        row.secret_sealed = seal(secret, keys=settings.ENCRYPTION_KEYS, owner=row.seal_owner)
        row.save(update_fields=["secret_sealed"])
    uri = provisioning_uri(secret, who=user.get_username(), issuer="aiplatform")
    return NewFactor(secret, uri, mark_of(secret))


def _known(row: Authenticator) -> str:
    """Empty when it was sealed by a key that is gone: nobody relies on it yet."""
    try:
        return unseal(row.secret_sealed, keys=settings.ENCRYPTION_KEYS, owner=row.seal_owner)
    except SealInvalidError:
        return ""
