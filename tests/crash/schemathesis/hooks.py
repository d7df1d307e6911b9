"""What is generated, and what nobody is answered.

Headers are kept well formed: what no HTTP client may send (RFC 9110, section 5.5) never reaches the API. The HTTP
parser answers such a request itself, with a bare 400; that is tested where HTTP is abused, not here.
"""

from collections.abc import MutableMapping
from typing import Protocol

import schemathesis

# Before anybody is authenticated, only the head of a request is looked at: its method, its length.
TO_NOBODY = {401, 405, 414, 431}


class GeneratedCase(Protocol):
    """The part of a generated request that is looked at here."""

    headers: MutableMapping[str, str]


class Answered(Protocol):
    """The part of an answer that is looked at here."""

    status_code: int


@schemathesis.hook  # pyright: ignore[reportUnknownMemberType]  -- the library leaves its own type open
def before_call(_context: object, case: GeneratedCase, _kwargs: dict[str, object]) -> None:
    """Replace control characters and everything beyond ASCII in header values by a question mark."""
    for name in list(case.headers):
        value = str(case.headers[name])
        case.headers[name] = "".join(letter if " " <= letter <= "~" else "?" for letter in value)


@schemathesis.check  # pyright: ignore[reportUnknownMemberType]
def nobody_is_told_to_authenticate(_context: object, response: Answered, _case: object) -> None:
    """Whoever has no credential is told so and nothing else, whatever the request asks for."""
    if response.status_code not in TO_NOBODY:
        message = f"somebody without a credential was answered {response.status_code}"
        raise AssertionError(message)
