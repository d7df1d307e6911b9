"""What parsers share: decoding bytes, keeping to limits, putting text together while counting where things stand."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from docket_plugins.errors import Reason, RefusedFileError
from docket_plugins.protocols import Extracted, Heading

TEXT_MAX: Final = 20_000_000
"""Characters of one document at most: forty times a long novel."""
PAGES_MAX: Final = 5_000
HEADINGS_MAX: Final = 20_000
"""As many as docket takes from any parser."""
TITLE_MAX: Final = 500

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f\ufffe\uffff]")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([A-Za-z0-9_:.-]{1,40})""", re.IGNORECASE)


def clean(text: str) -> str:
    """Plain line ends, no control characters, no halves of surrogate pairs; form feeds end lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
    return _CONTROL.sub("", text).encode("utf-8", errors="ignore").decode()


def decode(content: bytes, *, look_for_meta: bool = False) -> str:
    """Decodes text: by its byte order mark, by what HTML says of itself, as UTF-8, at last as Windows-1252."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return clean(content.decode(encoding, errors="replace"))
    said = _CHARSET.search(content[:4096]) if look_for_meta else None
    candidates = [said.group(1).decode()] if said else []
    for encoding in [*candidates, "utf-8"]:
        try:
            return clean(content.decode(encoding))
        except (LookupError, UnicodeError):
            continue
    return clean(content.decode("cp1252", errors="replace"))


def require_text(text: str, what: str) -> None:
    """Refuses what holds no text, or too much of it."""
    if not any(character.isalnum() for character in text):
        raise RefusedFileError(Reason.EMPTY, f"there is no text in this {what}")
    if len(text) > TEXT_MAX:
        raise RefusedFileError(
            Reason.TOO_LARGE, f"the text is {len(text)} characters long; at most {TEXT_MAX} are read"
        )


def require_few(headings: Sequence[Heading]) -> None:
    """Refuses what has more headings than docket takes."""
    if len(headings) > HEADINGS_MAX:
        raise RefusedFileError(Reason.TOO_LARGE, f"there are more than {HEADINGS_MAX} headings in it")


@dataclass(slots=True)
class Builder:
    """Puts blocks of text together and knows where each begins."""

    headings: list[Heading] = field(default_factory=list[Heading])
    _parts: list[str] = field(default_factory=list[str])
    _length: int = 0

    def block(self, text: str, *, level: int = 0, gap: str = "\n\n") -> None:
        """Adds a block after a gap; a level makes it a heading."""
        text = text.strip()
        if not text:
            return
        if self._parts:
            self._add(gap)
        if level:
            self.headings.append(Heading(min(level, 9), self._length, " ".join(text.split())[:300]))
            require_few(self.headings)
        self._add(text)

    def _add(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
        if self._length > TEXT_MAX:
            raise RefusedFileError(Reason.TOO_LARGE, f"the text is longer than {TEXT_MAX} characters")

    def finish(self, what: str, *, title: str | None, language: str | None = None) -> Extracted:
        """Everything that was added; refused when that is nothing."""
        text = "".join(self._parts)
        require_text(text, what)
        first = next((heading.text for heading in self.headings if heading.level == 1), None)
        return Extracted(text=text, headings=self.headings, title=(title or first or None), language=language)
