"""Fixtures of the chaos cases."""

from tests.chaos.stack import stack

__all__ = ["stack"]
