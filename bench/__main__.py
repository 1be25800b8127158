"""Run the benchmarks one after another, on stores of their own or beside what DATABASE_URL and REDIS_URL hold."""

import argparse
import os
import subprocess
import sys

from bench.stores import stores

PARTS = ("throughput", "latency", "fairness", "ingest", "volume", "desk", "spend", "limiter", "storms")
PARTS += ("retrieval", "extraction", "documents", "assembly", "streams", "recipes", "turns")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, epilog="Further options go to the one part that is named."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all when none is named")
    parser.add_argument(
        "--only", help="of the throughput: rate, slots, growth; the limiter: capacity, apart, halved, cost; the storms: refused, ..."
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: for trying; no figures are written")
    arguments, further = parser.parse_known_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if further and len(arguments.parts) != 1:
        parser.error(f"{' '.join(further)}: name the one part that it is for")
    failed = []
    with stores() as environment:
        for part in arguments.parts or PARTS:
            command = [sys.executable, "-m", "bench.part", part, *(["--quick"] if arguments.quick else []), *further]
            command += ["--only", arguments.only] if arguments.only and part in {"throughput", "limiter", "storms"} else []
            if subprocess.run(command, env=os.environ | environment, check=False).returncode:
                failed.append(part)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
