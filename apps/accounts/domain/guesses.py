"""What strangers guess at, where it is counted, and whose guesses are counted together."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

# Of IPv6 a caller has a whole network of that size to himself.
_IPV6_BITS = 64


@dataclass(frozen=True, slots=True)
class Guessed:
    """Names in Redis: of each origin's bucket, of the counters, and of when which origin was slowed last."""

    bucket: str
    counts: str
    slowed: str
    milliseconds: int


KEYS = Guessed("aiplatform:refused:{origin}", "aiplatform:refused_keys", "aiplatform:slowed_origins", 60_000)
PASSWORDS = Guessed("aiplatform:sign_ins:{origin}", "aiplatform:sign_in_tries", "aiplatform:slowed_sign_ins", 3_600_000)


def origin_of(address: str) -> str:
    """Whose guesses are counted together: an IPv4 address, or the network of an IPv6 one; empty for what is no address."""
    try:
        ip = ip_address(address)
    except ValueError:
        return ""
    if not isinstance(ip, IPv6Address):
        return str(ip)
    return str(ip.ipv4_mapped or ip_network((ip.packed, _IPV6_BITS), strict=False))


def address_of_origin(address: str) -> str | None:
    """One address that stands for the whole origin, for columns that hold no networks; None for what is no address."""
    return origin_of(address).partition("/")[0] or None
