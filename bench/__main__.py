"""Run the benchmarks one after another on stores of their own, or on DATABASE_URL and REDIS_URL when these are set."""

import argparse
import os
import subprocess
import sys

from bench.stores import stores

PARTS = ("throughput", "latency", "ingest")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all when none is named")
    parser.add_argument("--only", help="one of the throughput's parts: rate, slots, growth")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: for trying, not for figures")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    failed = []
    with stores() as environment:
        for part in arguments.parts or PARTS:
            command = [sys.executable, "-m", f"bench.{part}", *(["--quick"] if arguments.quick else [])]
            command += ["--only", arguments.only] if arguments.only and part == "throughput" else []
            if subprocess.run(command, env=os.environ | environment, check=False).returncode:
                failed.append(part)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
