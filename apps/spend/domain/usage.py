"""Token counts in buckets that don't overlap, so that each can be multiplied by its own price."""

from collections.abc import Mapping
from dataclasses import dataclass

# Buckets that only some models have, each a part of a main one: a charge counts them there, and names them beside it.
PARTS = ("cache_write_1h", "audio_input", "image_input", "audio_output", "image_output")


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What one call used. `input_tokens` leaves out what was cached, heard or seen, `output_tokens` what was reasoned, spoken or drawn.

    `cache_write_1h_tokens` are kept for an hour, which costs more than the usual `cache_write_tokens`.
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    image_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_output_tokens: int = 0

    @classmethod
    def from_charge(cls, *, input_tokens: int, cached_input_tokens: int, cache_write_tokens: int, output_tokens: int, reasoning_tokens: int,
                    parts: Mapping[str, int] | None) -> "TokenUsage":  # fmt: skip
        """The buckets again, from the counts that a charge keeps."""
        own = {name: (parts or {}).get(name, 0) for name in PARTS}
        return cls(
            input_tokens=input_tokens - own["audio_input"] - own["image_input"],
            cached_input_tokens=cached_input_tokens,
            cache_write_tokens=cache_write_tokens - own["cache_write_1h"],
            output_tokens=output_tokens - own["audio_output"] - own["image_output"],
            reasoning_tokens=reasoning_tokens,
            **{f"{name}_tokens": count for name, count in own.items()},
        )

    @property
    def fresh_input_tokens(self) -> int:
        """Of every kind; neither read from a cache nor written to one."""
        return self.input_tokens + self.audio_input_tokens + self.image_input_tokens

    @property
    def written_tokens(self) -> int:
        """Into a cache, for however long."""
        return self.cache_write_tokens + self.cache_write_1h_tokens

    @property
    def said_tokens(self) -> int:
        """Of every kind but reasoning."""
        return self.output_tokens + self.audio_output_tokens + self.image_output_tokens

    @property
    def total_input_tokens(self) -> int:
        return self.fresh_input_tokens + self.cached_input_tokens + self.written_tokens

    @property
    def total_output_tokens(self) -> int:
        return self.said_tokens + self.reasoning_tokens

    def parts(self) -> dict[str, int]:
        """The buckets of PARTS in which there is something."""
        counts = (
            self.cache_write_1h_tokens, self.audio_input_tokens, self.image_input_tokens,
            self.audio_output_tokens, self.image_output_tokens,
        )  # fmt: skip
        return {name: count for name, count in zip(PARTS, counts, strict=True) if count}
