"""What parsers do with good files, and what they say of bad ones."""

import contextlib
import io
import os
import zipfile
from pathlib import Path

import pytest
from docket_plugins import Extracted, File, Reason, RefusedFileError
from docket_plugins.parsers.docx import DocxParser
from docket_plugins.parsers.html import HtmlParser
from docket_plugins.parsers.markdown import MarkdownParser
from docket_plugins.parsers.pdf import PdfParser
from docket_plugins.parsers.text import TextParser
from extraction_quality import LEAST, pairs
from hypothesis import given, settings
from hypothesis import strategies as st

PARSERS = (DocxParser(), HtmlParser(), MarkdownParser(), PdfParser(), TextParser())
DATA = Path(os.environ.get("DOCKET_TEST_DATA") or "../shared/data")


def refusal(parser: DocxParser | HtmlParser | PdfParser | TextParser, content: bytes) -> Reason:
    with pytest.raises(RefusedFileError) as refused:
        parser.parse(File("file", "", content))
    return refused.value.reason


def package(**entries: str | bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as files:
        for name, content in entries.items():
            files.writestr(f"word/{name}.xml", content)
    return packed.getvalue()


def check(read: Extracted) -> None:
    assert read.text.strip()
    assert "\0" not in read.text
    assert list(read.page_starts) == sorted(read.page_starts)
    assert [heading.at for heading in read.headings] == sorted(heading.at for heading in read.headings)
    assert all(0 <= heading.at <= len(read.text) for heading in read.headings)


@pytest.mark.parametrize("parser", PARSERS)
def test_every_parser_passes_its_own_test(parser: HtmlParser) -> None:
    parser.self_test()


def test_empty_and_broken_files_are_refused_with_a_reason() -> None:
    assert refusal(TextParser(), b" \n\t") == Reason.EMPTY
    assert refusal(HtmlParser(), b"<html><body><nav>Menu</nav></body></html>") == Reason.EMPTY
    assert refusal(PdfParser(), b"%PDF-1.7 and nothing else") == Reason.BROKEN
    assert refusal(DocxParser(), b"PK\x03\x04 and nothing else") == Reason.BROKEN
    assert refusal(DocxParser(), package(styles="<x/>")) == Reason.BROKEN
    assert refusal(DocxParser(), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)) == Reason.ENCRYPTED


def test_bombs_are_refused_before_they_unfold() -> None:
    assert refusal(DocxParser(), package(document=b" " * 50_000_000)) == Reason.BOMB
    entities = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><d>&b;</d>'
    assert refusal(DocxParser(), package(document=entities)) == Reason.BOMB
    assert refusal(HtmlParser(), b"<div>" * 200_000 + b"deep") == Reason.BOMB
    assert refusal(TextParser(), b"word " * 5_000_000) == Reason.TOO_LARGE


def test_a_page_is_read_without_its_boilerplate_and_with_its_headings() -> None:
    page = b"""<html lang="en"><head><title>Act 7 | Regulator</title><script>x()</script></head><body>
      <header><nav><a href="/">Home</a></nav></header><div class="breadcrumb">Home / Acts</div>
      <main><h1>Act 7</h1><p>Boats must carry <b>life</b> jackets.<br>Two each.</p>
      <h2>Table</h2><table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table></main>
      <footer>Imprint</footer></body></html>"""
    read = HtmlParser().parse(File("act.html", "text/html", page))
    assert "Home" not in read.text
    assert "Imprint" not in read.text
    assert "Boats must carry life jackets.\nTwo each." in read.text
    assert "a | b" in read.text
    assert [(heading.level, heading.text) for heading in read.headings] == [(1, "Act 7"), (2, "Table")]
    assert all(read.text[heading.at :].startswith(heading.text) for heading in read.headings)
    assert (read.title, read.language) == ("Act 7 | Regulator", "en")


def test_a_page_within_a_form_is_read_without_its_controls() -> None:
    page = (
        b"<html><body><form id='aspnetForm' method='post'><input type='hidden' value='state'><h1>Act 9</h1>"
        b"<p>Masters report within 24 hours.</p><select><option>Choose</option></select><textarea>Say</textarea>"
        b"<button>Send</button></form></body></html>"
    )
    read = HtmlParser().parse(File("page.aspx", "text/html", page))
    assert read.text == "Act 9\n\nMasters report within 24 hours."


_WORD = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
)


def word(body: str) -> str:
    document = package(document=f"<w:document {_WORD}><w:body>{body}</w:body></w:document>")
    read = DocxParser().parse(File("a.docx", "", document))
    check(read)
    return read.text


def said(words: str) -> str:
    return f"<w:p><w:r><w:t>{words}</w:t></w:r></w:p>"


def test_a_table_in_a_cell_is_read_once() -> None:
    inner = f"<w:tbl><w:tr><w:tc>{said('c')}</w:tc><w:tc>{said('d')}</w:tc></w:tr></w:tbl>"
    for _ in range(40):
        inner = f"<w:tbl><w:tr><w:tc>{inner}</w:tc></w:tr></w:tbl>"
    rows = f"<w:tr><w:tc>{said('a')}</w:tc><w:tc>{said('b')}{inner}</w:tc></w:tr><w:tr><w:tc>{said('e')}</w:tc></w:tr>"
    assert word(f"<w:tbl>{rows}</w:tbl>") == "a | b c d\ne"


def test_a_text_box_is_read_once_and_after_its_paragraph() -> None:
    box = f"<w:txbxContent>{said('boxed')}{said('twice')}</w:txbxContent>"
    both = f"<mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
    anchored = f"<w:p><w:r><w:t>before</w:t></w:r><w:r>{both}</w:r><w:r><w:t> after</w:t></w:r></w:p>"
    assert word(anchored + said("next")) == "before after\n\nboxed\n\ntwice\n\nnext"


def test_what_was_moved_is_read_where_it_stands_now() -> None:
    moved = "<w:r><w:t>moved</w:t></w:r>"
    gone = "<w:p><w:moveFrom>{0}</w:moveFrom><w:del><w:r><w:tab/><w:delText>gone</w:delText></w:r></w:del></w:p>"
    body = gone.format(moved) + said("first") + f"<w:p><w:moveTo>{moved}</w:moveTo></w:p>"
    assert word(body + f"<w:moveTo>{said('block')}</w:moveTo>") == "first\n\nmoved\n\nblock"


def test_titles_are_short_and_headings_few() -> None:
    read = MarkdownParser().parse(File("a.md", "", f"---\ntitle: {'t' * 900}\n---\n# One\n".encode()))
    assert read.title == "t" * 500
    assert refusal(HtmlParser(), b"<h1>a</h1>" * 20_001) == Reason.TOO_LARGE
    with pytest.raises(RefusedFileError, match="more than 20000 headings"):
        MarkdownParser().parse(File("a.md", "", b"# a\n" * 20_001))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["", "%PDF-1.4\n", "<html><body>", "# ", "PK\x03\x04"]))
def test_any_bytes_give_a_sound_text_or_a_refusal(noise: bytes, start: str) -> None:
    for parser in PARSERS:
        with contextlib.suppress(RefusedFileError):
            check(parser.parse(File("noise", "", start.encode() + noise)))


def test_text_of_the_scanned_directives_is_read_well() -> None:
    folder = DATA / "cisa"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    poor = [quality for quality in pairs(folder) if quality.confirmed < LEAST]
    assert poor == []


def sized_pdf(*lines: tuple[int, str]) -> bytes:
    """A page with these lines, each in letters of its size."""
    height = 700
    drawn: list[str] = []
    for size, line in lines:
        drawn.append(f"BT /F {size} Tf 40 {height} Td ({line}) Tj ET")
        height -= 2 * size
    content = "\n".join(drawn)
    return (
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
        "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>endobj "
        f"4 0 obj<</Length {len(content)}>>stream\n{content}\nendstream endobj "
        "5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj trailer<</Root 1 0 R>>"
    ).encode()


def test_larger_letters_are_the_headings_of_a_pdf_without_an_outline() -> None:
    clause = "A wire rope is taken out of service after 96 months."
    parts = ((14, "Part A. Lines"), (10, clause), (14, "Part B"), (10, clause))
    content = sized_pdf((20, "Mooring Code"), (10, clause), *parts)
    read = PdfParser().parse(File("code.pdf", "application/pdf", content))
    found = [(heading.level, heading.text) for heading in read.headings]
    assert found == [(1, "Mooring Code"), (2, "Part A. Lines"), (2, "Part B")]
    assert all(read.text[heading.at :].startswith(heading.text) for heading in read.headings)


def test_sizes_that_mean_nothing_give_no_headings() -> None:
    scan = sized_pdf(*[(9 + number, f"A recognised line of a scan, number {number}") for number in range(12)])
    assert PdfParser().parse(File("scan.pdf", "application/pdf", scan)).headings == []
    letterhead = sized_pdf((20, "Authority"), (10, "Dear officers, we answer your questions."), (10, "Yours truly."))
    assert PdfParser().parse(File("letter.pdf", "application/pdf", letterhead)).headings == []
