"""Why a document is not taken."""

# Stable: programs may act on them. docs/documents.md tells what each means and what to do.
CODES = frozenset(
    {
        "encrypted", "damaged", "no_text", "too_large", "too_many_pages", "too_many_members", "bomb", "entities", "unsupported_format",
        "wrong_type", "timed_out", "out_of_memory", "crashed", "bad_name", "empty", "unreadable_encoding",
    }
)  # fmt: skip


class Refused(Exception):  # noqa: N818 -- it is an answer about a file that somebody sent, no defect of ours
    """`code` is one of CODES; `message` says what is wrong and what to do, for whoever sent the file."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message
