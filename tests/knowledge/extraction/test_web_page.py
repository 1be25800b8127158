"""Web pages: their text by headings, without what leads around the site."""

from tests.knowledge.extraction.reading import read, refused, shown

PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>Guide &amp; Rules</title><style>p {color: red}</style><script>var hidden = 1;</script></head>
<body><header>Site</header><nav><a href="/">Home</a></nav><div class="navheader">Prev Next</div>
<h1>Guide<a class="headerlink" href="#x">¶</a></h1>
<p>It is <b>bold</b>
and <i>brave</i>.<br>Second line.</p>
loose text
<h2>Limits</h2>
<ul><li>One <em>thing</em><ol><li>deep</li><li>deeper</li></ol></li><li><p>Two</p><p>more</p></li></ul>
<table><tr><th>Name</th><th>Price</th></tr><tr><td>Bolt<br>M3</td><td>0.10</td></tr></table>
<table><tr><td><p>Only for</p></td><td><table><tr><td>a</td><td>b</td></tr></table></td></tr></table>
<pre>if x:
    y()</pre>
<dl><dt>Term</dt><dd>Meaning</dd></dl>
<div hidden>unseen</div><p aria-hidden="true">unseen</p><button>Press</button><footer>Imprint</footer></body></html>"""


def test_a_page_by_its_headings() -> None:
    found = read(PAGE.encode(), "a.html")
    assert (found.media_type, found.title, found.language) == ("text/html", "Guide & Rules", "en")
    assert shown(found) == [
        ("heading 1", "Guide", "Guide"),
        ("text", "It is bold and brave.\nSecond line.", "Guide"),
        ("text", "loose text", "Guide"),
        ("heading 2", "Limits", "Guide > Limits"),
        ("list", "- One thing\n  1. deep\n  2. deeper\n- Two\n  more", "Guide > Limits"),
        ("table", "Name | Price\nBolt M3 | 0.10", "Guide > Limits"),
        ("text", "Only for", "Guide > Limits"),
        ("table", "a | b", "Guide > Limits"),
        ("code", "if x:\n    y()", "Guide > Limits"),
        ("text", "Term", "Guide > Limits"),
        ("text", "Meaning", "Guide > Limits"),
    ]


def test_the_main_part_is_the_text() -> None:
    found = read(b"<html><body><div>Around</div><main><p>Inside</p></main><aside>Beside</aside></body></html>", "a.htm")
    assert shown(found) == [("text", "Inside", "beginning")]


def test_the_encoding_that_it_declares() -> None:
    page = '<html><head><meta charset="iso-8859-2"></head><body><p>Zażółć gęślą jaźń</p></body></html>'
    assert read(page.encode("iso-8859-2"), "a.html").sections[0].text == "Zażółć gęślą jaźń"


def test_as_deep_as_one_likes() -> None:
    page = b"<html><body>" + b"<div>" * 10_000 + b"deep" + b"</div>" * 10_000 + b"</body></html>"
    assert read(page, "a.html").sections[0].text == "deep"


def test_a_page_without_text() -> None:
    assert refused(b"<html><body><script>document.write('x')</script></body></html>", "a.html").code == "empty"
