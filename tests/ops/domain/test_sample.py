"""What the demo's jobs came to, read for showing."""

import json

from apps.ops.domain.sample import CitedAnswer, read_cited_answers


def test_an_answer_tells_what_it_cites_and_was_given_and_a_failure_why() -> None:
    cited = [{"number": 1, "document": {"name": "a.pdf"}, "anchor": "page 1"}, {"number": 2, "document": {"name": "b.txt"}, "anchor": ""}]
    lines = [
        {"document": {"name": "a.pdf"}, "answer": " So [1].\n", "error": None, "citations": cited, "given": [*cited, *cited]},
        {"document": {"name": "c.pdf"}, "answer": None, "error": {"message": "It is empty."}, "citations": [], "given": []},
    ]
    assert read_cited_answers([*map(json.dumps, lines), ""]) == (
        CitedAnswer("a.pdf", "So [1].", ("[1] a.pdf, page 1", "[2] b.txt"), ("a.pdf, page 1", "b.txt")),
        CitedAnswer("c.pdf", "(It is empty.)", (), ()),
    )
