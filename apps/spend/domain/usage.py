"""Token counts in buckets that don't overlap, so that each can be multiplied by its own price."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What one call used. `input_tokens` leaves out cached ones, `output_tokens` leaves out reasoning."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_input_tokens(self) -> int:
        return self.input_tokens + self.cached_input_tokens + self.cache_write_tokens

    @property
    def total_output_tokens(self) -> int:
        return self.output_tokens + self.reasoning_tokens
