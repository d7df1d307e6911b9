"""Headings of a PDF without an outline: lines in letters that are larger than those of the text."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, Protocol

from pypdfium2 import raw  # pyright: ignore[reportMissingTypeStubs]

from docket_plugins.protocols import Heading

_LARGER: Final = 1.15
"""How much larger than the text the letters of a heading are, at least."""
_SIZES_MAX: Final = 4
"""Sizes of headings at most. Recognised text of a scan has as many sizes as lines; they mean nothing."""
_LENGTH_MAX: Final = 160

SizedLine = tuple[str, float]
"""A line and the size of its letters in points; a line without letters has none."""


class Layer(Protocol):
    """What is used of a page's layer of text."""

    raw: object

    def get_text_range(self) -> str:
        """The text of the page, a character for each that PDFium counts."""
        ...


def sized_lines(layer: Layer) -> list[SizedLine]:
    """The lines of a page. The letter in the middle speaks for its line: asking each is slower than reading."""
    found: list[SizedLine] = []
    for match in re.finditer(r"[^\r\n]*\w[^\r\n]*", layer.get_text_range()):
        middle = match.start() + len(match.group()) // 2
        # In half points: programs that set text round differently from line to line.
        size = round(raw.FPDFText_GetFontSize(layer.raw, middle) * 2) / 2
        found.append((" ".join(match.group().split()), size))
    return found


def headings_by_size(pages: Sequence[Sequence[SizedLine]], text: str, starts: Sequence[int]) -> list[Heading]:
    """The lines whose letters are larger than those of most of the text; the largest are outermost.

    None when no size is that of most of the text, when there are too many larger ones, or when there is but one such
    line: a letterhead says nothing about what stands where.
    """
    letters: Counter[float] = Counter()
    for line, size in (line for page in pages for line in page):
        letters[size] += len(line)
    body, count = max(letters.items(), key=lambda item: item[1], default=(0.0, 0))
    larger = sorted({size for size in letters if size >= body * _LARGER}, reverse=True)
    if count * 2 < letters.total() or not 1 <= len(larger) <= _SIZES_MAX:
        return []
    found = [heading for number in range(len(pages)) for heading in _of_page(pages, number, larger, text, starts)]
    return found if len(found) > 1 else []


def _of_page(
    pages: Sequence[Sequence[SizedLine]], number: int, larger: Sequence[float], text: str, starts: Sequence[int]
) -> Iterator[Heading]:
    at = starts[number]
    end = starts[number + 1] if number + 1 < len(starts) else len(text)
    # A heading may have several lines, all of one size.
    for size, lines in groupby(pages[number], key=lambda line: line[1]):
        title = " ".join(line for line, _ in lines)
        if size not in larger or len(title) > _LENGTH_MAX or not _is_prose(title):
            continue
        match = re.compile(r"^" + r"\s+".join(map(re.escape, title.split())), re.MULTILINE).search(text, at, end)
        if match:
            at = match.end()
            yield Heading(larger.index(size) + 1, match.start(), title)


def _is_prose(title: str) -> bool:
    """Whether a title is words, and not what a scanner made of a seal."""
    plain = sum(character.isalnum() or character.isspace() for character in title)
    return re.search(r"[^\W\d_]{3}", title) is not None and plain * 10 >= len(title) * 8
