"""How fast it is, beside what others do: `make bench` runs all of it, `python -m bench throughput` one part."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
