"""Writes the PDF files of the demo corpus from demo/corpus/pdf-sources/*.txt, the same bytes at every run.

Usage: python scripts/make_demo_pdfs.py [--check]
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from html import escape
from pathlib import Path

from corpus_text import CORPUS, PDF_SOURCES, Block, PdfSource, read_source
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Paragraph, Spacer, Table, TableStyle

MARGIN = 62.0
GUTTER = 22.0
FACES = {"Times": ("Times-Roman", "Times-Bold"), "Helvetica": ("Helvetica", "Helvetica-Bold")}
GRID = TableStyle([
    ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
    ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
])  # fmt: skip


def styles(source: PdfSource, size: float) -> dict[str, ParagraphStyle]:
    """One style for each kind of block, in the faces that the source names."""
    plain, bold = FACES[source.settings["font"]]

    def style(name: str, grow: float = 0, *, strong: bool = False, before: float = 0) -> ParagraphStyle:
        points = size + grow
        return ParagraphStyle(
            name, fontName=bold if strong else plain, fontSize=points, leading=points * 1.32, spaceBefore=before,
            spaceAfter=5, keepWithNext=strong,
        )  # fmt: skip

    item = style("item")
    item.leftIndent, item.bulletIndent = 14, 4
    return {
        "h1": style("h1", 7, strong=True),
        "h2": style("h2", 3, strong=True, before=9),
        "h3": style("h3", 1, strong=True, before=6),
        "text": style("text"),
        "item": item,
        "cell": style("cell", -1),
    }


def flow(block: Block, look: dict[str, ParagraphStyle]) -> list[Flowable]:
    """What is put on the page for one block."""
    if block.kind == "table":
        cells = [[Paragraph(escape(cell), look["cell"]) for cell in row] for row in block.rows]
        return [Table(cells, style=GRID, repeatRows=0), Spacer(1, 9)]
    words = escape(block.text)
    return [Paragraph(words, look[block.kind], bulletText="-" if block.kind == "item" else None)]


def furniture(source: PdfSource) -> Callable[[Canvas, BaseDocTemplate], None]:
    """Draws what repeats on every page: the running header and the foot with the page number."""

    def draw(canvas: Canvas, template: BaseDocTemplate) -> None:
        width, height = A4
        canvas.saveState()
        canvas.setFont(FACES[source.settings["font"]][0], 8)
        canvas.drawString(MARGIN, height - 40, f"Harbour Safety Authority    {source.settings['header']}")
        canvas.line(MARGIN, height - 45, width - MARGIN, height - 45)
        canvas.drawString(MARGIN, 36, "2 Quay Street, Brackwater")
        canvas.drawRightString(width - MARGIN, 36, f"Page {template.page}")
        canvas.restoreState()

    return draw


def render(source: PdfSource) -> bytes:
    """The PDF file of one source. Invariant and uncompressed, so that its bytes depend on no clock and no zlib."""
    width, height = A4
    columns = 2 if source.settings.get("layout") == "two columns" else 1
    column = (width - 2 * MARGIN - (columns - 1) * GUTTER) / columns
    frames = [
        Frame(MARGIN + n * (column + GUTTER), MARGIN, column, height - 2 * MARGIN, 0, 0, 0, 0) for n in range(columns)
    ]
    file = io.BytesIO()
    template = BaseDocTemplate(
        file,
        pagesize=A4,
        title=next(block.text for block in source.blocks if block.kind == "h1"),
        author="Harbour Safety Authority",
        subject=source.settings["header"],
        lang="en",
        invariant=1,
        pageCompression=0,
    )
    template.addPageTemplates([PageTemplate(id="page", frames=frames, onPage=furniture(source))])
    look = styles(source, 10.5 if columns == 1 else 9.5)
    template.build([part for block in source.blocks for part in flow(block, look)])
    return file.getvalue()


def main(arguments: list[str]) -> int:
    """Writes the files, or with --check says which of them differ from what would be written."""
    stale: list[str] = []
    for path in sorted(PDF_SOURCES.glob("*.txt")):
        target: Path = CORPUS / "harbour-safety" / f"{path.stem}.pdf"
        content = render(read_source(path))
        if "--check" not in arguments:
            target.write_bytes(content)
        elif not target.exists() or target.read_bytes() != content:
            stale.append(target.name)
    if stale:
        sys.stderr.write(f"stale: {', '.join(stale)}; run python scripts/make_demo_pdfs.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
