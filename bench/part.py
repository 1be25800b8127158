"""Run one benchmark on stores that `python -m bench` has made: Django is set up first, so that the parts import like any module."""

import importlib
import os
import sys

import django

from bench.stores import MARK


def main() -> None:
    if MARK not in os.environ:
        sys.exit("A benchmark empties the tables it works on: start it by `python -m bench PART`, which gives it stores of its own.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiplatform.settings")
    django.setup()
    name = sys.argv.pop(1)
    sys.argv[0] = f"bench {name}"
    importlib.import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
