"""Typed readers of the environment; each fails loudly, naming the variable and what it must look like."""

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import unquote, urlsplit

from apps.lib.mail_server import MailServer, MailServerInvalidError, read_mail_server
from apps.lib.redaction import is_worth_hiding

_NAMES_OF_SECRETS = re.compile(r"(?i)(^|_)(secret|password|token|keys?)(_|$)")


class EnvironmentInvalidError(Exception):
    """A variable of the environment is missing or can't be read."""


class Environment:
    """Reads variables, first from the process environment, then from a running stack's `stack.json`."""

    def __init__(self, variables: Mapping[str, str], stack: Mapping[str, str]) -> None:
        self.variables = variables
        self.stack = stack

    def text(self, name: str, default: str | None = None) -> str:
        value = self.variables.get(name) or self.stack.get(name) or default
        if value is None:
            msg = f"{name} is not set. Set it in the environment, or start the stack with 'make up'."
            raise EnvironmentInvalidError(msg)
        return value

    def is_set(self, name: str) -> bool:
        return bool(self.variables.get(name) or self.stack.get(name))

    def whole(self, name: str, default: int, *, at_least: int = 0) -> int:
        value = self.variables.get(name) or self.stack.get(name) or str(default)
        try:
            number = int(value)
        except ValueError:
            number = at_least - 1
        if number < at_least:
            msg = f"{name} must be a whole number of at least {at_least}, not {value!r}."
            raise EnvironmentInvalidError(msg)
        return number

    def choice(self, name: str, default: str, words: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in words:
            msg = f"{name} must be one of {', '.join(words)}, not {value!r}."
            raise EnvironmentInvalidError(msg)
        return value

    def seconds(self, name: str, default: float) -> float:
        value = self.variables.get(name) or self.stack.get(name) or str(default)
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 < number < float("inf"):
            msg = f"{name} must be a number of seconds above 0, not {value!r}."
            raise EnvironmentInvalidError(msg)
        return number

    def number(self, name: str, default: float) -> float:
        value = self.variables.get(name) or self.stack.get(name) or str(default)
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            msg = f"{name} must be a number of at least 0, not {value!r}."
            raise EnvironmentInvalidError(msg)
        return number

    def each_of(self, name: str, words: tuple[str, ...]) -> frozenset[str]:
        """Some of these words, separated by commas; none by default."""
        values = frozenset(self.listed(name))
        if values - set(words):
            msg = f"{name} must be some of {', '.join(words)}, separated by commas, not {', '.join(sorted(values))!r}."
            raise EnvironmentInvalidError(msg)
        return values

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = (self.variables.get(name) or self.stack.get(name) or str(default)).lower()
        if value in {"1", "true", "yes", "on"}:
            return True
        if value in {"0", "false", "no", "off"}:
            return False
        msg = f"{name} must be one of true, false, 1, 0, yes, no, on, off, not {value!r}."
        raise EnvironmentInvalidError(msg)

    def ports(self, name: str, default: str) -> list[int]:
        values = self.listed(name, default)
        if not values or not all(value.isdecimal() and 0 < int(value) < 65536 for value in values):
            msg = f"{name} must be port numbers separated by commas, not {','.join(values)!r}."
            raise EnvironmentInvalidError(msg)
        return [int(value) for value in values]

    def networks(self, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
        try:
            return tuple(ip_network(value) for value in self.listed(name))
        except ValueError as error:
            msg = f"{name} must be networks like 10.1.0.0/16 separated by commas: {error}."
            raise EnvironmentInvalidError(msg) from error

    def folder(self, name: str, default: str, *, taken: tuple[str, ...]) -> str:
        """Where something is below the root, with a slash at both ends; its first part is none of `taken`."""
        value = self.text(name, default).strip("/")
        if not re.fullmatch(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", value) or value.split("/")[0] in taken:
            msg = f"{name} must be letters, digits, - and _ like 'desk' or 'internal/desk', and not below {', '.join(taken)}: {value!r}."
            raise EnvironmentInvalidError(msg)
        return f"/{value}/"

    def mail_server(self, name: str) -> MailServer | None:
        try:
            return read_mail_server(self.text(name, ""))
        except MailServerInvalidError as error:
            msg = f"{name} {error}"
            raise EnvironmentInvalidError(msg) from error

    def address(self, name: str, default: str) -> str:
        """An e-mail address, with or without a name before it."""
        value = self.text(name, default)
        mailbox = parseaddr(value)[1]
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", mailbox) or "\n" in value or "\r" in value:
            msg = f"{name} must be an e-mail address like alerts@example.com or 'aiplatform <alerts@example.com>', not {value!r}."
            raise EnvironmentInvalidError(msg)
        return value

    def site(self, name: str, default: str) -> str:
        """Where people reach this platform; without a slash at its end."""
        value = self.text(name, default)
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            msg = f"{name} must look like https://platform.example.com, not {value!r}."
            raise EnvironmentInvalidError(msg)
        return value.rstrip("/")

    def listed(self, name: str, default: str = "") -> list[str]:
        value = self.variables.get(name) or self.stack.get(name) or default
        return [part.strip() for part in value.split(",") if part.strip()]

    def secrets(self) -> frozenset[str]:
        """Whatever must be written down nowhere: values whose names say so, and passwords in URLs."""
        found: set[str] = set()
        for name, value in {**self.stack, **self.variables}.items():
            if _NAMES_OF_SECRETS.search(name):
                found |= {value, *(part.strip().partition(":")[2] or part.strip() for part in value.split(","))}
            found |= set(_passwords(value))
        return frozenset(filter(is_worth_hiding, found))


def _passwords(value: str) -> Iterator[str]:
    """As it stands in a URL, and as it is."""
    try:
        password = urlsplit(value).password if "://" in value else None
    except ValueError:
        return
    if password:
        yield from (password, unquote(password))


def read_environment(home: Path) -> Environment:
    """The process environment, and behind it what the stack running in `home` wrote (when one does)."""
    file = home / "stack.json"
    stack: dict[str, str] = {}
    if file.exists():
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            msg = f"{file} holds secrets and others can read it: run 'chmod 600 {file}'."
            raise EnvironmentInvalidError(msg)
        stack = json.loads(file.read_text())["environment"]
    return Environment(os.environ, stack)
