"""How much of a provider's key people are shown: enough to tell which one it is, too little to guess it by."""

_SHOWN = 4
# What stays unknown of the shortest one is as long as what nobody guesses.
_SHORTEST = 20


def ending_of(key: str) -> str:
    """The last four characters; none of a key that has fewer than twenty."""
    return key[-_SHOWN:] if len(key) >= _SHORTEST else ""
