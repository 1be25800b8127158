"""Which secrets a caller's environment changes in a stack that runs; refused is what would shut out what is still needed."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from apps.lib.sealing import read_keys
from apps.ops.domain.stack import StackError

_SEALING = "AIPLATFORM_ENCRYPTION_KEYS"
_NEEDED = ("SECRET_KEY", _SEALING)
_FALLBACKS = "SECRET_KEY_FALLBACKS"
# What the platform gets in with: into its stores, and what Flower asks for and a mail server is told.
_STORES = ("DATABASE_URL", "REDIS_URL")
_PASSWORDS = ("AIPLATFORM_FLOWER_PASSWORD", "EMAIL_URL")


def given_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """What an environment says of the secrets that may change. Fallbacks that are set to nothing are taken away."""
    given = {name: variables[name] for name in _NEEDED if variables.get(name)}
    return given | {name: variables[name] for name in (_FALLBACKS,) if name in variables}


def changed_secrets(known: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """What differs from what the stack has. StackError when API keys, or what is sealed, could not be opened any more."""
    changed = _changes(known, variables) | _changed_stores(known, variables) | given_passwords(known, variables)
    if known.get(_SEALING) and _SEALING in changed:
        before, after = _same_keys(known, changed)
        if (present := next(iter(before))) not in after:
            # Until the last part is replaced, the others go on sealing with it.
            msg = f"AIPLATFORM_ENCRYPTION_KEYS lacks {present!r}, which seals at present: put it behind the new one first, and restart."
            raise StackError(msg)
        check_sealed(changed)
    return changed


def secrets_to_start_with(known: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """What an environment changes before anything runs; nobody can be asked then what is sealed, so no key may be missing.

    StackError otherwise: an environment from before a rotation would take the place of the only copy of the keys that are in use.
    """
    changed = _changes(known, variables)
    if known.get(_SEALING) and _SEALING in changed:
        before, after = _same_keys(known, changed)
        if missing := sorted(set(before) - set(after)):
            msg = (
                f"AIPLATFORM_ENCRYPTION_KEYS lacks {missing[0]!r}, which this stack has: give that one, too, or leave the variable unset"
                " to go on with what is kept. A key is taken away while the stack runs: 'manage.py restart' looks whether it is needed."
            )
            raise StackError(msg)
    return changed


def given_passwords(known: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Those of single parts that an environment names, where they differ; set to nothing is one of them, too."""
    return {name: variables[name] for name in _PASSWORDS if name in variables and variables[name] != known.get(name)}


def _changed_stores(known: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Another user or password. StackError for another server: what is on the way knows the one of before."""
    changed = {name: variables[name] for name in _STORES if variables.get(name) and variables[name] != known.get(name, variables[name])}
    for name, url in changed.items():
        if _place(url) != _place(known[name]):
            msg = f"{name} is another server than this stack's, or another database: a restart changes the user and the password alone."
            raise StackError(msg)
    return changed


def _place(url: str) -> tuple[str | None, int | None, str]:
    parts = urlsplit(url)
    return parts.hostname, parts.port, parts.path


def _changes(known: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    given = given_secrets(variables)
    changed = {name: value for name, value in given.items() if value != known.get(name, "")}
    present = known.get("SECRET_KEY", "")
    if present and "SECRET_KEY" in changed and present not in _listed(given.get(_FALLBACKS, known.get(_FALLBACKS, ""))):
        raise StackError("SECRET_KEY is another than this stack's: every API key would be refused. Set SECRET_KEY_FALLBACKS to that one.")
    return changed


def _same_keys(known: Mapping[str, str], changed: Mapping[str, str]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """(before, after) by their names; StackError when a name means another key now."""
    before, after = read_keys(_listed(known[_SEALING])), read_keys(_listed(changed[_SEALING]))
    if altered := [key_id for key_id in before if after.get(key_id, before[key_id]) != before[key_id]]:
        msg = f"{altered[0]!r} in AIPLATFORM_ENCRYPTION_KEYS is another key than this stack has by that name: name the new one anew."
        raise StackError(msg)
    return before, after


def check_sealed(environment: Mapping[str, str]) -> None:
    """StackError when something in the database is sealed with a key that this environment has not."""
    from apps.ops.queries.seals import find_lost_keys  # noqa: PLC0415 -- the supervisor loads no tables

    if lost := find_lost_keys(read_keys(_listed(environment[_SEALING]))):
        which = ", ".join(f"{number} with {key_id!r}" for key_id, number in sorted(lost.items()))
        msg = f"AIPLATFORM_ENCRYPTION_KEYS lacks what secrets are sealed with ({which}): put it back, call 'manage.py reseal_secrets'."
        raise StackError(msg)


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
