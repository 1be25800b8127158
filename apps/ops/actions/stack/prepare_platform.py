"""What must be done before anybody works: migrations, static files, the first superuser, the local model. Repeatable."""

import hashlib
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

from apps.ops.actions.stack.migrate_database import migrate_database
from apps.ops.actions.stack.serve_model import LOCAL_MODEL
from apps.providers.actions import declare_model
from apps.spend.actions import ensure_price

# It costs nothing; a small price makes the money visible from the first batch on.
_SAMPLE_INPUT_USD, _SAMPLE_OUTPUT_USD = Decimal("0.01"), Decimal("0.04")


def prepare_platform(*, admin_password: str, local_model_url: str, local_model_key: str, now: datetime) -> None:
    """An empty password makes no superuser; an empty URL declares no local model."""
    migrate_database()
    _collect_static_files(Path(settings.STATIC_ROOT))
    if admin_password:
        _make_first_superuser(admin_password)
    if local_model_url:
        _declare_local_model(url=local_model_url, key=local_model_key, now=now)


def _collect_static_files(root: Path) -> None:
    """Collecting and compressing takes seconds, so it is done only when a file has changed."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            digest.update(f"{path} {storage.size(path)} {storage.get_modified_time(path).timestamp()}\n".encode())
    stamp = root / ".collected"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(digest.hexdigest())


def _make_first_superuser(password: str) -> None:
    """Only when there is none: later ones, and later passwords, are people's own."""
    users = get_user_model().objects
    if not users.filter(is_superuser=True).exists():
        users.create_superuser(username="admin", email="", password=password)


def _declare_local_model(*, url: str, key: str, now: datetime) -> None:
    """Its address may change with each start."""
    provider_id = declare_model(provider_name="local", base_url=url, api_key=key, model_name=LOCAL_MODEL, upstream_model=LOCAL_MODEL)
    ensure_price(
        provider_id=provider_id,
        upstream_model=LOCAL_MODEL,
        input_usd_per_million=_SAMPLE_INPUT_USD,
        output_usd_per_million=_SAMPLE_OUTPUT_USD,
        effective_from=now,
    )
