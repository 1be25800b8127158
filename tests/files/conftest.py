"""Fixtures of the tests of files."""

from tests.files.serving import client, secret, server

__all__ = ["client", "secret", "server"]
