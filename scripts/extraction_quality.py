"""Reports how well text is read out of the PDFs of which somebody has written a clean copy.

For each pair of ``pdf_md_pairs.csv``: the share of the words of the PDF (with repetitions) that stand in the clean
text, and the share of the words of the clean text that were found in the PDF.

    .venv/bin/python scripts/extraction_quality.py ../shared/data/cisa
"""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docket_plugins import File
from docket_plugins.parsers.pdf import PdfParser

WORD = re.compile(r"\w{3,}")
LEAST = 0.87


@dataclass(frozen=True, slots=True)
class Quality:
    """One pair."""

    name: str
    confirmed: float
    """Share of the words read that the clean text has."""
    found: float
    """Share of the clean text's words that were read."""
    reference: float
    """Share of confirmed words that another reader reached, as the list of pairs says."""


def _words(text: str) -> Counter[str]:
    return Counter(WORD.findall(text.lower()))


def pairs(folder: Path) -> Iterator[Quality]:
    """The quality of every pair, in the order of the list."""
    with (folder / "pdf_md_pairs.csv").open(newline="") as rows:
        for row in csv.DictReader(rows):
            if not row["md"]:
                continue
            content = (folder / "pdf" / row["pdf"]).read_bytes()
            read = _words(PdfParser().parse(File(row["pdf"], "application/pdf", content)).text)
            clean = _words((folder / "md" / row["md"]).read_text())
            common = (read & clean).total()
            in_clean = sum(number for word, number in read.items() if word in clean)
            reference = float(row["share_of_pdf_words_in_md"])
            yield Quality(row["pdf"], in_clean / read.total(), common / clean.total(), reference)


def main() -> int:
    """Prints the table; fails when a pair is below the least share."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/cisa")
    if not folder.is_dir():
        print(f"skipped: there is no {folder}")
        return 0
    print(f"{'document':<22} {'words confirmed':>15} {'(list says)':>11} {'clean words found':>18}")
    poor = 0
    for quality in pairs(folder):
        poor += quality.confirmed < LEAST
        print(f"{quality.name:<22} {quality.confirmed:>15.3f} {quality.reference:>11.3f} {quality.found:>18.3f}")
    return int(poor > 0)


if __name__ == "__main__":
    sys.exit(main())
