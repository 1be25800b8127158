"""Everything hostile in one place. `python -m tests.hostile.corpus FOLDER` writes it out: files as they are, requests as they are sent.

A request keeps words like <key> for what only a running platform knows.
"""

import re
import sys
from pathlib import Path

from tests.hostile.bodies import BODIES
from tests.hostile.files import FILES
from tests.hostile.office import OFFICE
from tests.hostile.tables import TABLES
from tests.hostile.wires import WIRES

REQUESTS = [*BODIES, *WIRES, *OFFICE]


def write(folder: Path) -> int:
    """Write all of it below `folder`, with a list of what each deserves; returns how many cases there are."""
    rows = []
    for number, file in enumerate(FILES):
        path = _path(folder / "files", number, file.name, ".jsonl")
        with path.open("wb") as out:
            out.writelines(file.make())
        rows.append((path, "batch file", "" if file.line is None else f"line {file.line}", file.told or "taken"))
    for number, table in enumerate(TABLES):
        path = _path(folder / "tables", number, table.name, Path(table.filename).suffix)
        path.write_bytes(table.make())
        rows.append((path, "table", "" if table.line is None else f"line {table.line}", table.message or "taken"))
    for number, case in enumerate((*BODIES, *WIRES)):
        path = _path(folder / "requests", number, str(case), ".http")
        with path.open("wb") as out:
            out.writelines(case.wire({}))
        rows.append((path, case.door[:60], str(case.status or "no answer"), case.told))
    lines = ("\t".join((str(path.relative_to(folder)), *told)) for path, *told in rows)
    (folder / "index.tsv").write_text("\n".join(lines) + "\n")
    return len(rows)


def _path(folder: Path, number: int, name: str, ending: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{number:03}-{re.sub('[^a-z0-9]+', '-', name.lower())[:60].strip('-')}{ending}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.hostile.corpus FOLDER")
    sys.stdout.write(f"{write(Path(sys.argv[1]))} cases written to {sys.argv[1]}\n")
