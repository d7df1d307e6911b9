"""Plugins for stages of retrieval and of evaluation: one of each kind that works, and some that do not."""

import time
from collections.abc import Mapping, Sequence


class _Tested:
    def self_test(self) -> None:
        """Nothing can be wrong with these but on purpose."""


class Lines(_Tested):
    """Each line is a passage."""

    def chunk(self, text: str, *, size: int, overlap: int) -> Sequence[tuple[int, int]]:
        """Spans of lines that hold anything; a collection's size and overlap mean nothing to them."""
        assert size > overlap >= 0
        spans: list[tuple[int, int]] = []
        start = 0
        for line in text.splitlines(keepends=True):
            if line.strip():
                spans.append((start, start + len(line)))
            start += len(line)
        return spans


class Astray(_Tested):
    """Spans that do not lie in the text."""

    def chunk(self, text: str, *, size: int, overlap: int) -> Sequence[tuple[int, int]]:
        """One character too many."""
        del size, overlap
        return [(0, len(text) + 1)]


class Length(_Tested):
    """The longest passage is the best."""

    def score(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """Lengths, if anything is asked."""
        return [float(len(passage)) if query else 0.0 for passage in passages]


class Slow(_Tested):
    """Takes longer than anybody waits."""

    def score(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """Never gets so far."""
        del query
        time.sleep(600)
        return [0.0 for _ in passages]


class Short(_Tested):
    """Forgets a passage."""

    def score(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """One number too few."""
        del query
        return [0.0 for _ in passages[1:]]


class Words(_Tested):
    """Marks by words."""

    def grade(self, question: str, answer: str, contexts: Sequence[str]) -> Mapping[str, float]:
        """The share of the answer's words that any context holds."""
        held = {word for context in contexts for word in context.lower().split()}
        words = answer.lower().split()
        return {"held": sum(word in held for word in words) / max(1, len(words)), "asked": float(bool(question))}


class Boastful(_Tested):
    """Gives more than full marks."""

    def grade(self, question: str, answer: str, contexts: Sequence[str]) -> Mapping[str, float]:
        """Two of one."""
        del question, answer, contexts
        return {"excellence": 2.0}
