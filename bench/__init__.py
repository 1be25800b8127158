"""How fast it is, beside what others do: `make bench` runs all of it, `python -m bench throughput` one part."""
