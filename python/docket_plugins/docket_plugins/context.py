"""What a plugin knows of the call it serves, and how it counts things.

Logging needs nothing of this module: what goes to ``logging`` in a plugin stands in the service's log, under the trace
of the request that caused the call.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallContext:
    """The call that is being served."""

    traceparent: str | None
    """W3C Trace Context of the caller, to be sent along with requests of the plugin's own."""
    deadline_ms: int
    """How long the call may take before the worker is killed, counted from its beginning."""


NO_CALL = CallContext(traceparent=None, deadline_ms=0)


@dataclass(slots=True)
class _Process:
    call: CallContext
    count: Callable[[str, int], None]


def _nobody_counts(name: str, amount: int) -> None:
    """Outside of a worker nobody collects metrics."""


_process = _Process(call=NO_CALL, count=_nobody_counts)


def current_call() -> CallContext:
    """The call that is being served."""
    return _process.call


def count(name: str, amount: int = 1) -> None:
    """Adds to ``docket_plugin_events_total{plugin, event}`` of the service; ``name`` becomes the label ``event``."""
    _process.count(name, amount)


def enter_call(call: CallContext) -> None:
    """Begins a call; for the worker's host."""
    _process.call = call


def count_with(counter: Callable[[str, int], None]) -> None:
    """Says who collects metrics; for the worker's host."""
    _process.count = counter
