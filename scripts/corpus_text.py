"""Reads the demo corpus: the manifest, the sources of the PDF files, and the text that a reader sees."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TypedDict

CORPUS = Path(__file__).resolve().parent.parent / "demo" / "corpus"
PDF_SOURCES = CORPUS / "pdf-sources"

UNSEEN = {"head", "script", "style", "template"}
# Elements that begin and end a line of their own; all others run on within the line.
BLOCKS = {
    "address", "article", "aside", "blockquote", "br", "caption", "div", "footer", "form", "h1", "h2", "h3", "header",
    "hr", "li", "main", "nav", "ol", "p", "section", "table", "td", "th", "tr", "ul",
}  # fmt: skip
VOID = {"br", "hr", "img", "input", "link", "meta"}


class ManifestEntry(TypedDict):
    """One document of the corpus, as `manifest.json` describes it."""

    file: str
    title: str
    media_type: str
    confidentiality: str
    collection: str
    tenant: str


@dataclass(frozen=True)
class Block:
    """One heading, paragraph, list item or table of a PDF source."""

    kind: str
    """`h1`, `h2`, `h3`, `text`, `item` or `table`."""
    rows: tuple[tuple[str, ...], ...]
    """The cells of a table; everything else is one row of one cell."""

    @property
    def text(self) -> str:
        """The words of the block, a table read row by row."""
        return "\n".join(" ".join(row) for row in self.rows)


@dataclass(frozen=True)
class PdfSource:
    """A text from which a PDF file is made."""

    settings: dict[str, str]
    """What stands above the `---`: `header`, `font`, and `layout` where it is not one column."""
    blocks: tuple[Block, ...]


def manifest() -> list[ManifestEntry]:
    """The documents of the corpus in the order of the manifest."""
    entries: list[ManifestEntry] = json.loads((CORPUS / "manifest.json").read_text(encoding="utf-8"))
    return entries


def read_source(path: Path) -> PdfSource:
    """Parses a PDF source: settings, a line of dashes, then blocks that are divided by empty lines."""
    head, _, body = path.read_text(encoding="utf-8").partition("\n---\n")
    settings = dict(line.split(": ", 1) for line in head.splitlines())
    blocks: list[Block] = []
    for group in re.split(r"\n{2,}", body.strip()):
        lines = group.splitlines()
        if lines[0].startswith("|"):
            cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
            blocks.append(Block("table", (cells[0], *cells[2:])))
        else:
            blocks.extend(read_line(line) for line in lines)
    return PdfSource(settings, tuple(blocks))


def read_line(line: str) -> Block:
    """One line of a PDF source that is not part of a table."""
    for mark, kind in (("### ", "h3"), ("## ", "h2"), ("# ", "h1"), ("- ", "item")):
        if line.startswith(mark):
            return Block(kind, ((line.removeprefix(mark),),))
    return Block("text", ((line,),))


class VisibleText(HTMLParser):
    """Collects what a browser would show: no head, scripts, styles or comments, and nothing that is hidden."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.unseen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Enters an element; inside a hidden one, remembers it until it ends."""
        hidden = any(name == "style" and "display:none" in (value or "").replace(" ", "") for name, value in attrs)
        if tag not in VOID and (self.unseen or hidden or tag in UNSEEN):
            self.unseen.append(tag)
        elif tag in BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """Leaves an element."""
        if self.unseen and self.unseen[-1] == tag:
            self.unseen.pop()
        elif tag in BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        """Keeps the text where it can be seen."""
        if not self.unseen:
            self.parts.append(data)


def visible_text(path: Path) -> str:
    """The text of a document: Markdown as it is written, HTML as it is shown, PDF as its source says."""
    if path.suffix == ".html":
        parser = VisibleText()
        parser.feed(path.read_text(encoding="utf-8"))
        return "".join(parser.parts)
    if path.suffix == ".pdf":
        source = read_source(PDF_SOURCES / f"{path.stem}.txt")
        return "\n".join(block.text for block in source.blocks)
    return path.read_text(encoding="utf-8")


def squeezed(text: str) -> str:
    """The text with every run of white space made one space."""
    return " ".join(text.split())
