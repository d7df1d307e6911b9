"""PDF by PDFium: the text of each page in its reading order, where the pages begin, and headings by outline or size."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol, cast

import pypdfium2 as pdfium  # pyright: ignore[reportMissingTypeStubs]
from pypdfium2 import raw  # pyright: ignore[reportMissingTypeStubs]

from docket_plugins.errors import Reason, RefusedFileError
from docket_plugins.parsers.common import PAGES_MAX, TEXT_MAX, clean, require_few, require_text
from docket_plugins.parsers.pdf_sizes import SizedLine, headings_by_size, sized_lines
from docket_plugins.protocols import Extracted, File, Heading

_HYPHEN: Final = re.compile(r"(?<=[a-z])[\u0002\ufffe\u00ad]\r?\n?(?=[a-z])")
_OUTLINE_MAX: Final = 2_000
_SAMPLE: Final = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>endobj "
    b"4 0 obj<</Length 38>>stream\nBT /F 12 Tf 10 50 Td (Article 1) Tj ET\nendstream endobj "
    b"5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj trailer<</Root 1 0 R>>"
)


class _Place(Protocol):
    def get_index(self) -> int | None: ...


class _Entry(Protocol):
    """What is used of an outline's entry; the package says nothing of its types."""

    level: int

    def get_dest(self) -> _Place | None: ...
    def get_title(self) -> str: ...


class _Layer(Protocol):
    raw: object

    def get_text_bounded(self) -> str: ...
    def get_text_range(self) -> str: ...
    def close(self) -> None: ...


class PdfParser:
    """Reads PDF files, also those that are scans with a layer of recognised text."""

    media_types: Sequence[str] = ("application/pdf",)

    def parse(self, file: File) -> Extracted:
        """Reads page after page; memory holds one page and the text."""
        document = _open(file.content)
        try:
            return _read(document)
        finally:
            document.close()

    def self_test(self) -> None:
        """Reads a page of one line."""
        read = self.parse(File("a.pdf", "application/pdf", _SAMPLE))
        assert read.text.strip() == "Article 1", read.text  # noqa: S101


def _open(content: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD or "password" in str(error).lower():
            raise RefusedFileError(Reason.ENCRYPTED, "the PDF is protected by a password") from error
        raise RefusedFileError(Reason.BROKEN, f"the PDF cannot be opened: {error}") from error


def _read(document: pdfium.PdfDocument) -> Extracted:
    count = len(document)
    if count == 0:
        raise RefusedFileError(Reason.EMPTY, "the PDF has no pages")
    if count > PAGES_MAX:
        raise RefusedFileError(Reason.TOO_LARGE, f"the PDF has {count} pages; at most {PAGES_MAX} are read")
    parts: list[str] = []
    starts: list[int] = []
    lines: list[list[SizedLine]] = []
    unreadable: list[int] = []
    length = 0
    for number in range(count):
        starts.append(length)
        try:
            text, sized = _page(document, number)
        except pdfium.PdfiumError:
            unreadable.append(number + 1)
            text, sized = "", []
        lines.append(sized)
        if text and number + 1 < count:
            text += "\n\n"
        parts.append(text)
        length += len(text)
        if length > TEXT_MAX:
            raise RefusedFileError(Reason.TOO_LARGE, f"the text is longer than {TEXT_MAX} characters")
    if len(unreadable) == count:
        raise RefusedFileError(Reason.BROKEN, "no page of the PDF can be read")
    whole = "".join(parts)
    require_text(whole, "PDF; it may consist of images only")
    notes = [f"pages that cannot be read: {unreadable}"] if unreadable else []
    title = clean(document.get_metadata_dict().get("Title") or "").strip()[:500]
    # Programs leave the name of the file they made the PDF from; that is no title.
    title = "" if re.search(r"^Microsoft Word|\.(docx?|pdf|indd|rtf|pptx?)$|^untitled", title, re.IGNORECASE) else title
    headings = list(_headings(document, whole, starts)) or headings_by_size(lines, whole, starts)
    require_few(headings)
    return Extracted(
        text=whole,
        page_starts=starts,
        headings=headings,
        title=title or None,
        notes=notes,
    )


def _page(document: pdfium.PdfDocument, number: int) -> tuple[str, list[SizedLine]]:
    page = document[number]
    try:
        layer = cast("_Layer", page.get_textpage())
        try:
            text = layer.get_text_bounded()
            sized = sized_lines(layer)
        finally:
            layer.close()
    finally:
        page.close()
    text = clean(_HYPHEN.sub("", text))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip(), sized


def _headings(document: pdfium.PdfDocument, text: str, starts: Sequence[int]) -> Iterator[Heading]:
    """The outline's entries where their words stand on their page; others are left out."""
    last = 0
    outline = cast("Iterable[_Entry]", document.get_toc(max_depth=6))  # pyright: ignore[reportUnknownMemberType]
    for index, entry in enumerate(outline):
        if index >= _OUTLINE_MAX:
            return
        place = entry.get_dest()
        page = place.get_index() if place else None
        title = " ".join(clean(entry.get_title()).split())
        if page is None or not 0 <= page < len(starts) or not title:
            continue
        end = starts[page + 1] if page + 1 < len(starts) else len(text)
        found = re.compile(r"\s+".join(map(re.escape, title.split())), re.IGNORECASE).search(text, starts[page], end)
        if found is None or found.start() < last:
            continue
        last = found.start()
        yield Heading(min(entry.level + 1, 9), last, title[:300])
