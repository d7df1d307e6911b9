"""Keeps generated headers well formed: what no HTTP client may send (RFC 9110, section 5.5) never reaches the API.

The HTTP parser answers such a request itself, with a bare 400; that is tested where HTTP is abused, not here.
"""

from collections.abc import MutableMapping
from typing import Protocol

import schemathesis


class GeneratedCase(Protocol):
    """The part of a generated request that is looked at here."""

    headers: MutableMapping[str, str]


@schemathesis.hook  # pyright: ignore[reportUnknownMemberType]  -- the library leaves its own type open
def before_call(_context: object, case: GeneratedCase, _kwargs: dict[str, object]) -> None:
    """Replace control characters and everything beyond ASCII in header values by a question mark."""
    for name in list(case.headers):
        value = str(case.headers[name])
        case.headers[name] = "".join(letter if " " <= letter <= "~" else "?" for letter in value)
