"""Sessions whose keys are hashed in the table: who reads a backup can't go on where somebody has signed in.

And that end as long after somebody signed in as a session may last, however much is done in them.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.utils import timezone

_LENGTH = 40
# In the session, beside who it is: when they gave their password, in seconds.
_SIGNED_IN_AT = "_signed_in_at"


def hash_key(session_key: str | None) -> str:
    """What stands in the table. A key is 160 bits of chance, so that a plain hash will do."""
    return hashlib.sha256(f"session:{session_key}".encode()).hexdigest()[:_LENGTH]


class SessionStore(db.SessionStore):
    """Django's, but for what it calls a session in the database, and for when a session ends."""

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        if key == SESSION_KEY:
            super().__setitem__(_SIGNED_IN_AT, _seconds_now())

    async def aset(self, key: str, value: Any) -> None:
        await super().aset(key, value)
        if key == SESSION_KEY:
            await super().aset(_SIGNED_IN_AT, _seconds_now())

    def _get_session_from_db(self) -> Any:
        row = self.model.objects.filter(session_key=hash_key(self.session_key), expire_date__gt=timezone.now()).first()
        if row is None:
            self._session_key = None
        return row

    async def _aget_session_from_db(self) -> Any:
        row = await self.model.objects.filter(session_key=hash_key(self.session_key), expire_date__gt=timezone.now()).afirst()
        if row is None:
            self._session_key = None
        return row

    def exists(self, session_key: str) -> bool:
        return super().exists(hash_key(session_key))

    async def aexists(self, session_key: str) -> bool:
        return await super().aexists(hash_key(session_key))

    def create_model_instance(self, data: Any) -> Any:
        self._mark(data)
        return self._mend(super().create_model_instance(data), data)

    async def acreate_model_instance(self, data: Any) -> Any:
        self._mark(data)
        return self._mend(await super().acreate_model_instance(data), data)

    def _mark(self, data: Any) -> None:
        """A session of a release that did not write down when it began is taken to begin now."""
        if SESSION_KEY in data:
            data.setdefault(_SIGNED_IN_AT, _seconds_now())

    def _mend(self, row: Any, data: Any) -> Any:
        row.session_key = hash_key(row.session_key)
        if SESSION_KEY in data:
            # Django's end is counted from this very write.
            longest = timedelta(seconds=self.get_session_cookie_age())
            row.expire_date = min(row.expire_date, datetime.fromtimestamp(data[_SIGNED_IN_AT], UTC) + longest)
        return row

    def delete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            super().delete(hash_key(key))

    async def adelete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            await super().adelete(hash_key(key))


def _seconds_now() -> int:
    return int(timezone.now().timestamp())
