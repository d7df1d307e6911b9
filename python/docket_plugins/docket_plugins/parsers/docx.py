"""DOCX: paragraphs, headings, lists, tables and footnotes out of the package's XML, within limits on size."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from docket_plugins.errors import Reason, RefusedFileError
from docket_plugins.parsers.common import Builder, clean
from docket_plugins.protocols import Extracted, File

UNPACKED_MAX: Final = 200_000_000
RATIO_MAX: Final = 300
ENTRIES_MAX: Final = 5_000

_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC: Final = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_P: Final = f"{_W}p"
_BOX: Final = f"{_W}txbxContent"
_WRAPPERS: Final = frozenset(
    [
        *(f"{_W}{name}" for name in ("sdt", "sdtContent", "customXml", "ins", "moveTo")),
        *(f"{_MC}{name}" for name in ("AlternateContent", "Choice")),
    ]
)
_NOT_THERE: Final = frozenset([f"{_W}del", f"{_W}moveFrom", f"{_MC}Fallback"])
"""What was deleted, what stands elsewhere by now, and what stands beside it in a newer form."""
_DC_TITLE: Final = "{http://purl.org/dc/elements/1.1/}title"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEADING_STYLE: Final = re.compile(r"^(?:heading|berschrift|titre)\s*([1-9])$", re.IGNORECASE)


class DocxParser:
    """Reads Word documents."""

    media_types: Sequence[str] = ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",)

    def parse(self, file: File) -> Extracted:
        """Reads the body, then the footnotes."""
        if file.content.startswith(_OLE):
            raise RefusedFileError(Reason.ENCRYPTED, "the document is protected by a password, or of an older format")
        try:
            with zipfile.ZipFile(io.BytesIO(file.content)) as package:
                return _read(package)
        except (zipfile.BadZipFile, ET.ParseError, EOFError, zlib.error, NotImplementedError) as error:
            raise RefusedFileError(Reason.BROKEN, f"the document cannot be unpacked: {error}") from error
        except RuntimeError as error:
            # What zipfile says of entries under a password.
            raise RefusedFileError(Reason.ENCRYPTED, f"the document cannot be unpacked: {error}") from error

    def self_test(self) -> None:
        """Reads a document of one heading and one paragraph."""
        body = (
            '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
            '<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>One</w:t></w:r></w:p>'
            "<w:p><w:r><w:t>a</w:t></w:r><w:r><w:tab/><w:t>b</w:t></w:r></w:p></w:body></w:document>"
        )
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as package:
            package.writestr("word/document.xml", body)
        read = self.parse(File("a.docx", self.media_types[0], packed.getvalue()))
        assert read.text == "One\n\na\tb", read.text  # noqa: S101


def _read(package: zipfile.ZipFile) -> Extracted:
    _refuse_bombs(package)
    names = set(package.namelist())
    if "word/document.xml" not in names:
        raise RefusedFileError(Reason.BROKEN, "there is no document in the package")
    styles = _outline_levels(_xml(package, "word/styles.xml")) if "word/styles.xml" in names else {}
    builder = Builder()
    body = _xml(package, "word/document.xml").find(f"{_W}body")
    if body is not None:
        _blocks(body, styles, builder)
    if "word/footnotes.xml" in names:
        for note in _xml(package, "word/footnotes.xml").findall(f"{_W}footnote"):
            if note.get(f"{_W}type") is None:
                builder.block(" ".join(filter(None, map(_words, _paragraphs(note)))))
    title = None
    if "docProps/core.xml" in names:
        title = (_xml(package, "docProps/core.xml").findtext(_DC_TITLE) or "").strip()[:500]
    return builder.finish("document", title=title or None)


def _refuse_bombs(package: zipfile.ZipFile) -> None:
    entries = package.infolist()
    if len(entries) > ENTRIES_MAX:
        raise RefusedFileError(Reason.BOMB, f"the package has {len(entries)} entries; at most {ENTRIES_MAX} are read")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > UNPACKED_MAX:
        raise RefusedFileError(Reason.BOMB, f"the package unpacks to {unpacked} bytes; at most {UNPACKED_MAX} are read")
    for entry in entries:
        if entry.file_size > 1_000_000 and entry.file_size > RATIO_MAX * max(1, entry.compress_size):
            message = f"{entry.filename[:100]} unpacks to more than {RATIO_MAX} times its size"
            raise RefusedFileError(Reason.BOMB, message)


def _xml(package: zipfile.ZipFile, name: str) -> ET.Element:
    size = package.getinfo(name).file_size
    with package.open(name) as entry:
        # The directory may lie about the size: no more than it says is unpacked, and one byte to find out.
        content = entry.read(size + 1)
    if len(content) > size:
        raise RefusedFileError(Reason.BOMB, f"{name} is larger than the package says")
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise RefusedFileError(Reason.BOMB, f"{name} declares entities, which documents never need")
    return ET.fromstring(content)  # noqa: S314 - nothing with a document type gets here


def _outline_levels(styles: ET.Element) -> dict[str, int]:
    """The heading level of each style, 1 for the outermost."""
    levels: dict[str, int] = {}
    for style in styles.findall(f"{_W}style"):
        name = style.find(f"{_W}name")
        named = _HEADING_STYLE.match((name.get(f"{_W}val") or "").strip()) if name is not None else None
        outline = style.find(f"{_W}pPr/{_W}outlineLvl")
        level = int(named.group(1)) if named else _level(outline)
        if level:
            levels[style.get(f"{_W}styleId") or ""] = level
    return levels


def _level(outline: ET.Element | None) -> int:
    text = (outline.get(f"{_W}val") or "") if outline is not None else ""
    # 9 stands for body text.
    return int(text) + 1 if text.isdigit() and int(text) < 9 else 0


def _blocks(body: ET.Element, styles: dict[str, int], builder: Builder) -> None:
    for part in _children(body, _P, f"{_W}tbl"):
        if part.tag == _P:
            # What stands in text boxes comes after the paragraph that they hang on.
            for paragraph in (part, *_paragraphs(part)):
                _paragraph(paragraph, styles, builder)
        else:
            for index, row in enumerate(_children(part, f"{_W}tr")):
                # A table in a cell is words of that cell.
                cells = (" ".join(filter(None, map(_words, _paragraphs(cell)))) for cell in _children(row, f"{_W}tc"))
                builder.block(" | ".join(cells), gap="\n" if index else "\n\n")


def _paragraph(paragraph: ET.Element, styles: dict[str, int], builder: Builder) -> None:
    style = paragraph.find(f"{_W}pPr/{_W}pStyle")
    name = (style.get(f"{_W}val") or "") if style is not None else ""
    by_name = _HEADING_STYLE.match(name)
    level = styles.get(name) or (int(by_name.group(1)) if by_name else 0)
    level = level or _level(paragraph.find(f"{_W}pPr/{_W}outlineLvl"))
    listed = paragraph.find(f"{_W}pPr/{_W}numPr") is not None and not level
    words = _words(paragraph)
    builder.block(f"- {words}" if listed and words else words, level=level)


def _children(parent: ET.Element, *tags: str) -> Iterator[ET.Element]:
    """Children of these kinds in order, also those inside content controls and tracked changes."""
    waiting = list(reversed(parent))
    while waiting:
        part = waiting.pop()
        if part.tag in tags:
            yield part
        elif part.tag in _WRAPPERS:
            waiting.extend(reversed(part))


def _paragraphs(parent: ET.Element) -> Iterator[ET.Element]:
    """Every paragraph below, however deep, each once and in order."""
    waiting = list(reversed(parent))
    while waiting:
        part = waiting.pop()
        if part.tag == _P:
            yield part
        if part.tag not in _NOT_THERE:
            waiting.extend(reversed(part))


def _words(paragraph: ET.Element) -> str:
    """The paragraph's own words; those in its text boxes are other paragraphs'."""
    found: list[str] = []
    waiting = list(reversed(paragraph))
    while waiting:
        node = waiting.pop()
        match node.tag.removeprefix(_W):
            case "t":
                found.append(node.text or "")
            case "tab":
                found.append("\t")
            case "br" | "cr":
                found.append("\n")
            case "noBreakHyphen":
                found.append("-")
            case _:
                pass
        if node.tag != _BOX and node.tag not in _NOT_THERE:
            waiting.extend(reversed(node))
    return clean("".join(found)).strip()
