#!/usr/bin/env python3
"""Django's command line."""

import os
import sys

# They look after a stack from outside, also before its secrets exist.
_STACK_COMMANDS = {"up", "down", "status", "demo"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiplatform.settings")
    if sys.argv[1:2] and sys.argv[1] in _STACK_COMMANDS:
        os.environ["AIPLATFORM_ROLE"] = "stack"
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415 -- after the settings are named
    from django.core.management import execute_from_command_line  # noqa: PLC0415 -- after the settings are named
    from django.db import OperationalError  # noqa: PLC0415 -- after the settings are named

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"The settings can't be used: {error}")
    except OperationalError as error:
        sys.exit(
            f"No database answers: start the stack with 'make up', or set DATABASE_URL or AIPLATFORM_HOME. ({str(error).splitlines()[0]})"
        )


if __name__ == "__main__":
    main()
