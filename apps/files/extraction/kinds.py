"""What a file is by its first bytes, whatever its name says."""

from apps.files.extraction.refusal import UnreadableError

HEAD_BYTES = 65536
_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_OTHERS = {
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"\x28\xb5\x2f\xfd": "a zstd archive; unpack it first",
    b"SQLite format 3\0": "a database; export the table as CSV",
    b"PAR1": "a Parquet file; export it as CSV",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"<!doctype": "a web page; save the table as CSV",
    b"<html": "a web page; save the table as CSV",
    b"<?xml": "an XML file; save the table as CSV",
}
_TEXT_CONTROLS = b"\t\n\r\f"
# Text has next to no control characters, random bytes have 11 %, UTF-16 has a NUL in every pair.
_MOST_CONTROLS = 0.05


def is_workbook(head: bytes) -> bool:
    """True for a zip archive (what it holds is looked at later), False for text; UnreadableError for everything else."""
    if head.startswith(_ZIP):
        return True
    if head.startswith(_OLE):
        raise UnreadableError("This is a password-protected workbook or an old .xls; save it as .xlsx without a password.")
    for magic, kind in _OTHERS.items():
        if head[:64].lstrip().lower().startswith(magic.lower()):
            raise UnreadableError(f"This is no table but {kind}. Upload CSV, TSV or XLSX.")
    if not head.startswith(_UTF_16):
        controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in head)
        if controls > max(16, len(head) * _MOST_CONTROLS):
            raise UnreadableError("This is binary data, or text in an encoding without a mark. Save the table as 'CSV UTF-8'.")
    return False


def encoding_of(head: bytes) -> str:
    """UTF-16 when it is marked, else UTF-8, with or without its mark."""
    return "utf-16" if head.startswith(_UTF_16) else "utf-8-sig"
