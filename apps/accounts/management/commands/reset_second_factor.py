"""`manage.py reset_second_factor NAME`: for whoever lost the phone and the recovery codes."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.actions import acting, end_second_factor
from apps.accounts.queries import find_user


class Command(BaseCommand):
    """Switches it off; where the installation asks for one, they set it up anew at their next sign-in."""

    help = "Switch somebody's second factor off: they sign in with the password alone, and set a new one up."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="The user's name.")
        parser.add_argument("--reason", required=True, help="Why; it stands in the audit log.")

    def handle(self, *_: Any, name: str, reason: str, **__: Any) -> None:
        user = find_user(name)
        if user is None:
            msg = f"Nobody is called {name!r}. 'Users' in the back office lists all names."
            raise CommandError(msg)
        with acting("manage.py reset_second_factor"):
            had_one = end_second_factor(user_id=user.pk, reason=reason)
        self.stdout.write(f"The second factor of {name} is off." if had_one else f"{name} has no second factor.")
