"""Whether the caller of a request wants to read its answer as it comes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class StreamWish:
    """What `stream` and `stream_options` ask for."""

    is_streamed: bool = False
    is_usage_told: bool = False


NOT_STREAMED = StreamWish()


def stream_wish(values: Mapping[str, Any]) -> StreamWish:
    """Of a request that was found good."""
    if values.get("stream") is not True:
        return NOT_STREAMED
    options = values.get("stream_options")
    return StreamWish(is_streamed=True, is_usage_told=isinstance(options, dict) and options.get("include_usage") is True)


def stored_wish(body: bytes) -> StreamWish:
    """Of a request as it is stored; most don't say the word, and are not read for it."""
    return stream_wish(orjson.loads(body)) if b'"stream"' in body else NOT_STREAMED
