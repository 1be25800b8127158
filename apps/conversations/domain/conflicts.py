"""What becomes of a turn whose sender had read another state than the conversation is in."""

from enum import StrEnum


class OnConflict(StrEnum):
    """Decided before the model is asked: no answer is paid for and thrown away.

    `retry`: it waits for the turn before it, and is asked in the state that is there then.
    `fork`: it is asked in the state that was read, in a conversation of its own.
    `reject`: it isn't asked.
    """

    RETRY = "retry"
    FORK = "fork"
    REJECT = "reject"
