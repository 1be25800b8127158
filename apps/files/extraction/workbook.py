"""Excel workbooks (.xlsx), row by row; what they hold is never run and never fetched."""

import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from apps.files.domain.cells import as_seen
from apps.files.extraction.refusal import UnreadableError
from apps.lib.zip_packages import DAMAGED_ZIP, PackageFlaw, PackageLimits, find_package_flaw

_MAIN_PART = "xl/workbook.xml"
_LIMITS = PackageLimits(max_parts=10_000, max_unpacked_bytes=1 << 30, max_ratio=200, free_part_bytes=64 << 20)
_FLAWS = {
    PackageFlaw.PARTS: "The workbook has more parts inside than a table needs. Save the sheet as 'CSV UTF-8'.",
    PackageFlaw.SIZE: "The workbook unpacks to more than 1 GB.",
    PackageFlaw.SWOLLEN: "The workbook unpacks to far more than a table needs. Save the sheet as 'CSV UTF-8'.",
    PackageFlaw.ENCRYPTED: "The workbook is encrypted. Save it without a password.",
    PackageFlaw.MACROS: "The workbook holds macros. Save it as 'Excel Workbook (.xlsx)', without them.",
    PackageFlaw.ENTITIES: "The workbook can't be read: it declares XML entities, which Excel never writes.",
}
# The most that a sheet can have; one that says it has a row beyond would be padded with empty ones up to there.
_MOST_ROWS = 1_048_576


class Workbook:
    """One sheet of a workbook: the first one unless another is named."""

    def __init__(self, stream: BinaryIO, sheet: str) -> None:
        _check_archive(stream)
        stream.seek(0)
        book = _open_book(stream)
        self.sheets = tuple(worksheet.title for worksheet in book.worksheets)
        if not self.sheets:
            raise UnreadableError("The workbook has no sheet with cells.")
        if sheet and sheet not in self.sheets:
            raise UnreadableError(f"The workbook has no sheet {sheet[:100]!r}; it has {', '.join(map(repr, self.sheets[:20]))}.")
        self._sheet = book[sheet or self.sheets[0]]
        self._height = self._stated_height()
        self._line = 0
        self._formats: dict[int, str] = {}

    def share_read(self) -> float:
        """How much has been read, from 0 to 1, by what the sheet says of its own height."""
        return min(1.0, self._line / self._height) if self._height else 1.0

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """(line, cells) of each row that is not empty."""
        try:
            # The size that a file states for itself may be a lie that fills the memory.
            self._sheet.reset_dimensions()
            for row in self._sheet.iter_rows():
                self._count_row()
                cells = [self._seen(cell) for cell in row]
                if any(cells):
                    yield self._line, cells
        except (MemoryError, UnreadableError):
            raise
        except Exception as error:
            raise UnreadableError(f"The sheet can't be read: {type(error).__name__}. Save it anew, or as 'CSV UTF-8'.") from error

    def _count_row(self) -> None:
        self._line += 1
        if self._line > _MOST_ROWS:
            raise UnreadableError(f"The sheet has rows beyond {_MOST_ROWS:,}, the most that a sheet can have.", self._line)

    def _seen(self, cell: Any) -> str:
        """Texts are by far the most, and looking up a format costs more than reading its cell."""
        value = cell.value
        if value is None or isinstance(value, str):
            return value or ""
        style = cell._style_id  # noqa: SLF001 -- the public property finds the format anew for each cell
        if style not in self._formats:
            self._formats[style] = cell.number_format
        return as_seen(value, self._formats[style])

    def _stated_height(self) -> int:
        try:
            return self._sheet.max_row or 0
        except MemoryError:
            raise
        except Exception as error:
            raise UnreadableError(f"The sheet can't be read: {type(error).__name__}.") from error


def _check_archive(stream: BinaryIO) -> None:
    """Refuse by the archive's own table, before anything big is unpacked."""
    try:
        with zipfile.ZipFile(stream) as archive:
            if _MAIN_PART not in archive.namelist():
                raise UnreadableError("This is a zip archive, but no .xlsx workbook.")
            if flaw := find_package_flaw(archive, _LIMITS):
                raise UnreadableError(_FLAWS[flaw])
    except DAMAGED_ZIP as error:
        raise UnreadableError("This is a damaged zip archive, and no .xlsx workbook.") from error


def _open_book(stream: BinaryIO) -> Any:
    import openpyxl  # noqa: PLC0415 -- only for workbooks: it takes a fifth of a second

    try:
        return openpyxl.load_workbook(stream, read_only=True, data_only=False, keep_links=False)
    except MemoryError:
        raise
    except Exception as error:
        raise UnreadableError(f"The workbook can't be read: {type(error).__name__}.") from error
