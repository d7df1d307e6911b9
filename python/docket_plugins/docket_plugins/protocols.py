"""What each kind of plugin must be able to do. A class with these members is a plugin; nothing is inherited."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class File:
    """A file to be read."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: its level from 1, where its line begins in the text, and what it says."""

    level: int
    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was read in a file. Offsets are indexes into ``text``.

    At most 20,000 headings are taken. Headings are cut to 300 characters, the title to 500, the language to 35; a NUL
    in any of them, or in the text, makes the answer unsound.
    """

    text: str
    page_starts: Sequence[int] = ()
    headings: Sequence[Heading] = ()
    title: str | None = None
    language: str | None = None
    notes: Sequence[str] = field(default=())
    """What a person should know of how the file was read; stands in the log."""


@runtime_checkable
class Plugin(Protocol):
    """What all plugins have in common."""

    def self_test(self) -> None:
        """Tries the plugin on something small and raises if it does not work."""
        ...


@runtime_checkable
class Parser(Plugin, Protocol):
    """Reads the text of files (group ``docket.parsers``)."""

    @property
    def media_types(self) -> Sequence[str]:
        """The media types that it reads."""
        ...

    def parse(self, file: File) -> Extracted:
        """Reads a file; raises ``RefusedFileError`` if there is something wrong with it."""
        ...


@runtime_checkable
class Chunker(Plugin, Protocol):
    """Cuts a text into passages (group ``docket.chunkers``)."""

    def chunk(self, text: str, *, size: int, overlap: int) -> Sequence[tuple[int, int]]:
        """The passages as ascending pairs of indexes into the text."""
        ...


@runtime_checkable
class Reranker(Plugin, Protocol):
    """Judges how well passages answer a query (group ``docket.rerankers``)."""

    def score(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """A number for each passage, larger for better."""
        ...


@runtime_checkable
class Enricher(Plugin, Protocol):
    """Adds to a record what it knows (group ``docket.enrichers``)."""

    def enrich(self, record: Mapping[str, object]) -> Mapping[str, object]:
        """What is to be added."""
        ...


@runtime_checkable
class Grader(Plugin, Protocol):
    """Grades an answer (group ``docket.graders``)."""

    def grade(self, question: str, answer: str, contexts: Sequence[str]) -> Mapping[str, float]:
        """Marks between 0 and 1, by name."""
        ...


GROUPS: Final = ("docket.parsers", "docket.chunkers", "docket.rerankers", "docket.enrichers", "docket.graders")


def as_plugin(group: str, candidate: object) -> Plugin | None:
    """The candidate, if it has what plugins of this group must have."""
    match group:
        case "docket.parsers":
            return candidate if isinstance(candidate, Parser) else None
        case "docket.chunkers":
            return candidate if isinstance(candidate, Chunker) else None
        case "docket.rerankers":
            return candidate if isinstance(candidate, Reranker) else None
        case "docket.enrichers":
            return candidate if isinstance(candidate, Enricher) else None
        case _:
            return candidate if isinstance(candidate, Grader) else None
