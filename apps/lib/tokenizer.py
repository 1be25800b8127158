"""Count tokens offline, by OpenAI's newest public tokenizer; other models differ a little."""

import warnings
from functools import cache
from typing import Any

# What a chat format adds to each message.
MESSAGE_TOKENS = 4


@cache
def _encoding() -> Any:
    """Loaded when it is first wanted: 30 MB that only processes which count shall hold."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the package reads its own data in an old way
        import bpe_openai  # noqa: PLC0415 -- see above

    return bpe_openai.get_encoding("o200k_base")


def load_tokenizer() -> None:
    """For whoever is about to count against the clock: loading takes most of a second, and seconds on a busy machine."""
    _encoding()


def count_tokens(text: str) -> int:
    """Tokens of a text; what looks like a token of a chat format counts as the text that it is."""
    return len(_encoding().encode_ordinary(text))
