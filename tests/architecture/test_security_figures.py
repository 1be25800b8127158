"""What docs/security.md says that its tests count is what they count: each number below comes from the table that a test walks through."""

import re

import pytest

from tests.accounts.changes import CHANGES, WHY_NEEDED
from tests.accounts.test_admin_isolation import PEOPLE, pages, site_pages
from tests.accounts.test_foreign_ids import METHODS, SAMPLES
from tests.accounts.test_foreign_ids_named import CASES
from tests.accounts.test_key_in_address import DOORS
from tests.accounts.test_key_table import DEAD, KEYS, NEEDS, TOLD, cells
from tests.accounts.test_role_table import OUTSIDE, RANKS
from tests.architecture.source import ROOT
from tests.browser.payloads import PAYLOADS
from tests.hostile.documents import ARCHIVES, DOCUMENTS
from tests.journeys.test_another_address import CLOSED, QUESTIONS
from tests.lib.test_confine import TRIES
from tests.lib.test_egress import HOSTS
from tests.lib.test_hostile_requests import NO_JSON, NO_REQUEST
from tests.ops.test_flower import READS, WRITES

TOLD_OF = {
    line.split("|")[1].strip(): line.split("|")[4]
    for line in (ROOT / "docs" / "security.md").read_text().splitlines()
    if re.match(r"\| [SF]\d+ ", line)
}
_WHOLE = [route for route in site_pages() if not {"<", "("} & set(route)]
_ADDRESSES = len(pages()) + len(_WHOLE)
_CHANGED_BY = len(OUTSIDE) + len(RANKS)
COUNTED = [
    ("S1", f"{len(NEEDS)} routes by {len(KEYS)} kinds of keys: {len(list(cells(set(NEEDS)))):,} cells"),
    ("S1", f"{len(PEOPLE)} kinds of people: {2 * len(pages()) * len(PEOPLE):,} cells"),
    ("S1", f"{len(CASES)} ways of naming something of another workspace"),
    ("S2", f"of {len(DEAD) + len(TOLD)} kinds of wrong, revoked, expired and misplaced keys"),
    ("S2", f"at {len(DOORS)} doors, with and without one in the header: {2 * 6 * len(DOORS)} requests"),
    ("S3", f"{len(CHANGES)} changes of the back office"),
    ("S3", f"by {_CHANGED_BY} kinds of people: {len(CHANGES) * _CHANGED_BY} cells"),
    ("S3", f"without a reason {len(WHY_NEEDED)} of them do nothing"),
    # The page that signs in is nobody's.
    ("S3", f"{2 * (_ADDRESSES - 1)} requests for pages with a key of every scope"),
    ("S4", f"without the token of its form: 0 of {len(CHANGES)}"),
    ("S4", f"pages that lead back to the old one 0 of {_ADDRESSES}"),
    ("S4", f"answers that tell it from where nothing is 0 of {len(CLOSED) * len(QUESTIONS)}"),
    ("S6", f"{len(set(HOSTS))} hosts that are not public"),
    ("S7", f"{len(TRIES)} ways from a reader to a socket, a program or a file: stopped {len(TRIES)}"),
    ("S7", f"{len(DOCUMENTS) + len(ARCHIVES)} hostile documents and archives"),
    ("S8", f"{len(NO_JSON)} bodies that are no JSON and {len(NO_REQUEST)} that are no request"),
    ("S10", f"changes by the back office whose entry tells a secret: 0 of {len(CHANGES)}"),
    ("S12", f"strangers: {2 * (len(READS) + len(WRITES))} requests, let in 0; with the password {2 * len(WRITES)} changes"),
    ("S13", f"{len(PAYLOADS)} payloads"),
    ("F88", f"{len(SAMPLES)} routes with an id x {len(METHODS)} methods: {len(SAMPLES) * len(METHODS)} cells"),
    ("F88", f"the {len(NEEDS)} routes with a key of another workspace"),
    ("F92", f"{len(PAYLOADS)} payloads"),
]


@pytest.mark.parametrize(("number", "words"), COUNTED)
def test_the_figure_is_what_the_test_counts(number: str, words: str) -> None:
    assert words in TOLD_OF[number], f"write into the row {number} of docs/security.md: {words}"
