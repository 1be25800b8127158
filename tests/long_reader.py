"""Somebody who reads a table for long, and somebody else who reads it while a change waits for the first."""

import time
from threading import Event, Thread
from typing import Any

import psycopg
from django.db import connection


class Reader:
    """Keeps a transaction open until another session has read `table` while a statement that begins with `behind` was waiting for it."""

    def __init__(self, table: str, *, behind: str) -> None:
        self.read = f"SELECT 1 FROM {table} LIMIT 1"
        self.behind = behind
        self.has_seen_it_wait = self.has_read_meanwhile = False
        self.holds, self.may_go = Event(), Event()
        self.thread = Thread(target=self._read)

    def connect(self) -> "psycopg.Connection[Any]":
        values = {
            name: value
            for name, value in connection.get_connection_params().items()
            if name in {"dbname", "user", "password", "host", "port"}
        }
        return psycopg.connect(**values, autocommit=True, options="-c statement_timeout=240s")

    def _read(self) -> None:
        with self.connect() as holder, self.connect() as other, holder.transaction():
            holder.execute(self.read)
            self.holds.set()
            until = time.monotonic() + 240
            while not self.has_seen_it_wait and time.monotonic() < until:
                self.has_seen_it_wait = self._is_waited_for(other)
            # In the queue behind the change.
            other.execute(self.read)
            self.has_read_meanwhile = True
            self.may_go.wait(240)

    def _is_waited_for(self, other: "psycopg.Connection[Any]") -> bool:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE %s"
        return bool(other.execute(query, [f"{self.behind}%"]).fetchall()[0][0])
