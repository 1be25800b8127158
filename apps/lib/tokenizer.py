"""Count tokens offline, by OpenAI's newest public tokenizer; other models differ a little."""

import warnings
from functools import cache
from typing import Any

# What a chat format adds to each message.
MESSAGE_TOKENS = 4
# The tokenizer refuses more than 200,000 tokens, or a million characters, at once. A character has at most four bytes,
# and a token at least one.
_MOST_AT_ONCE = 50_000


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
    """Tokens of a text of any length; what looks like a token of a chat format counts as the text that it is.

    A long one is counted in parts: one token too many for each 50,000 characters at most.
    """
    encode, parts = _encoding().encode_ordinary, range(0, len(text), _MOST_AT_ONCE)
    return sum(len(encode(text[begin : begin + _MOST_AT_ONCE])) for begin in parts)
