"""Markdown: kept as it is written, so that every offset is an offset of the source; headings are noted."""

import re
from collections.abc import Sequence
from typing import Final

from docket_plugins.parsers.common import TITLE_MAX, decode, require_few, require_text
from docket_plugins.protocols import Extracted, File, Heading

_ATX: Final = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE: Final = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_EMPHASIS: Final = re.compile(r"[*_`]+|!?\[([^\]]*)\]\([^)]*\)")
_TITLE: Final = re.compile(r"^title:\s*[\"']?(.+?)[\"']?\s*$", re.MULTILINE)


class MarkdownParser:
    """Reads Markdown."""

    media_types: Sequence[str] = ("text/markdown",)

    def parse(self, file: File) -> Extracted:
        """Finds headings (ATX and underlined) outside of fenced code; a title may stand in front matter."""
        text = decode(file.content)
        require_text(text, "file")
        body, title = _front_matter(text)
        headings = _headings(text, body)
        title = title or next((heading.text for heading in headings if heading.level == 1), None)
        return Extracted(text=text, headings=headings, title=title)

    def self_test(self) -> None:
        """Finds a heading of each kind."""
        read = self.parse(File("a.md", "text/markdown", b"# One\n\ntext\n\nTwo\n---\n\n```\n# none\n```\n"))
        found = [(heading.level, heading.text) for heading in read.headings]
        assert found == [(1, "One"), (2, "Two")], found  # noqa: S101


def _front_matter(text: str) -> tuple[int, str | None]:
    if not text.startswith("---\n"):
        return 0, None
    end = text.find("\n---", 3)
    if end < 0:
        return 0, None
    title = _TITLE.search(text[4 : end + 1])
    return end + 4, title.group(1)[:TITLE_MAX] if title else None


def _headings(text: str, body: int) -> list[Heading]:
    found: list[Heading] = []
    at, fence, before = 0, "", ("", 0)
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\n")
        opening = _FENCE.match(bare)
        if at < body:
            pass
        elif fence:
            if opening and opening.group(1).startswith(fence):
                fence = ""
        elif opening:
            fence = opening.group(1)
        elif heading := _ATX.match(bare):
            found.append(Heading(len(heading.group(1)), at, _plain(heading.group(2) or "")))
        elif (underline := _UNDERLINE.match(bare)) and before[0].strip() and not before[0].lstrip().startswith("|"):
            level = 1 if underline.group(1).startswith("=") else 2
            found.append(Heading(level, before[1], _plain(before[0])))
        require_few(found)
        before = ("", at) if fence or at < body else (bare, at)
        at += len(line)
    return [heading for heading in found if heading.text]


def _plain(text: str) -> str:
    return " ".join(_EMPHASIS.sub(lambda match: match.group(1) or "", text).split())[:300]
