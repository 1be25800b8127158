"""The one way in which reading ends early."""


class UnreadableError(Exception):
    """Nothing (more) can be read; `line` is where."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message, self.line = message, line
