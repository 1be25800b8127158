"""What the demo's jobs came to, read for showing."""

import json

from apps.ops.domain.sample import CitedAnswer, read_cited_answers

SNAPSHOTS = {"snap_1": {"results": [{"document_name": "a.pdf", "anchor": "page 1"}, {"document_name": "a.pdf", "anchor": "page 1"}]}}


def test_an_answer_tells_what_it_cites_and_was_given_and_a_failure_why() -> None:
    cited = [{"number": 1, "document": {"name": "a.pdf"}, "anchor": "page 1"}, {"number": 2, "document": {"name": "b.txt"}, "anchor": ""}]
    lines = [
        {"document": {"name": "a.pdf"}, "answer": " So [1].\n", "error": None, "citations": cited, "snapshot": "snap_1"},
        {"document": {"name": "c.pdf"}, "answer": None, "error": {"message": "It is empty."}, "citations": [], "snapshot": None},
    ]
    assert read_cited_answers([*map(json.dumps, lines), ""], SNAPSHOTS.__getitem__) == (
        CitedAnswer("a.pdf", "So [1].", ("[1] a.pdf, page 1", "[2] b.txt"), ("a.pdf, page 1",)),
        CitedAnswer("c.pdf", "(It is empty.)", (), ()),
    )
