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
