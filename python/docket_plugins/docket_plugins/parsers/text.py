"""Plain text, and what is near enough to it to be read as it stands."""

from collections.abc import Sequence

from docket_plugins.parsers.common import decode, require_text
from docket_plugins.protocols import Extracted, File


class TextParser:
    """Reads text as it is."""

    media_types: Sequence[str] = ("text/plain", "text/csv", "application/json")

    def parse(self, file: File) -> Extracted:
        """Decodes the file; there are no pages and no headings."""
        text = decode(file.content)
        require_text(text, "file")
        return Extracted(text=text)

    def self_test(self) -> None:
        """Reads a line."""
        assert self.parse(File("a.txt", "text/plain", "Übung".encode())).text == "Übung"  # noqa: S101
