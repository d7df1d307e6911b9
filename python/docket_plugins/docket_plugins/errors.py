"""What a plugin can say besides its result."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a file cannot be read; the same words as in the API."""

    ENCRYPTED = "encrypted"
    BROKEN = "broken"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    BOMB = "bomb"
    UNSUPPORTED = "unsupported"


class RefusedFileError(Exception):
    """A parser refuses a file: it would refuse it again. The sentence is shown to people."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
