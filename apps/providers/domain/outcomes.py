"""What an exchange came to. Each class says what may be done next; jobs/domain/retry.py decides."""

from enum import StrEnum


class Outcome(StrEnum):
    """The classes, from harmless to dear.

    ok              the answer is whole and readable: charged, done
    not_sent        nothing left this machine (DNS, connect, TLS): free retry
    throttled       429, 529, 503 with Retry-After: wait, no attempt counted
    credential      401, 402, 403, quota, unknown model upstream: the target's matter, no attempt counted
    rejected        3xx and other 4xx: asking again gives the same answer; dead at once
    failed_upstream 503, 408, 409, 425, other 5xx: retry, may fail over
    ambiguous       may have been billed (timeout after sending, cut or unreadable answer): one more try
    output_contract the answers are whole and break the request's contract, also after its repair: paid, dead
    """

    OK = "ok"
    NOT_SENT = "not_sent"
    THROTTLED = "throttled"
    CREDENTIAL = "credential"
    REJECTED = "rejected"
    FAILED_UPSTREAM = "failed_upstream"
    AMBIGUOUS = "ambiguous"
    OUTPUT_CONTRACT = "output_contract"


# What people are told of a class that stands on a page.
CLASSES = {
    Outcome.OK: "a whole, readable answer",
    Outcome.NOT_SENT: "nothing left this machine: no connection; asked again for free",
    Outcome.THROTTLED: "the provider had no room (429, 529, 503 with Retry-After): all wait, no attempt is counted",
    Outcome.CREDENTIAL: "it refused our key, our quota or the model's name: the target is left alone, its items wait",
    Outcome.REJECTED: "it refused the request itself: asking again would give the same answer, so the item is dead",
    Outcome.FAILED_UPSTREAM: "it failed (5xx, 408, 409, 425): asked again, or another target is",
    Outcome.AMBIGUOUS: "sent, and no whole answer came (timeout, cut off, unreadable): it may have been billed, one more try",
    Outcome.OUTPUT_CONTRACT: "the answers were whole and broke the request's contract, also after a repair: paid for, the item is dead",
}
