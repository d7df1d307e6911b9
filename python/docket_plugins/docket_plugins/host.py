"""The Python half of a plugin worker: finds plugins, calls them, and turns whatever happens into an answer.

The Rust half (``docket plugin-worker``) reads frames from the service, hands them to :meth:`Host.call` and sends back
what that returns. Nothing a plugin does to ``print``, ``logging`` or ``sys.exit`` reaches the connection.
"""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from docket_plugins.context import NO_CALL, CallContext, count_with, enter_call
from docket_plugins.errors import RefusedFileError
from docket_plugins.protocols import GROUPS, Chunker, Enricher, File, Grader, Parser, Plugin, Reranker, as_plugin

Json = Mapping[str, object]
Answer = tuple[Json, bytes]
Emit = Callable[[str], None]
Serve = Callable[[Json, bytes], Answer]

TRACEBACK_MAX: Final = 20_000
MESSAGE_MAX: Final = 4_000


class NoSuchPluginError(Exception):
    """No plugin has this group and name."""


class UnfitPluginError(Exception):
    """What the entry point names is no plugin of its group, or gives what its protocol does not allow."""


@dataclass(frozen=True)
class Loaded:
    """A plugin, and how it is called: asking a protocol who is of its kind takes long, so it is asked once."""

    plugin: Plugin
    serve: Serve


class FrameLogs(logging.Handler):
    """Hands log records to the service."""

    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        """Sends one record; one that cannot be worded is worded by its template."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        if record.exc_info is not None:
            message = f"{message}\n{_worded(record.exc_info[1])}"
        line = {"kind": "log", "level": record.levelname, "logger": record.name, "message": message[:MESSAGE_MAX]}
        self._emit(json.dumps(line))


class Host:
    """Every plugin of this environment, loaded when first needed."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._loaded: dict[tuple[str, str], Loaded] = {}
        self._entries = {
            (group, entry.name): entry for group in GROUPS for entry in sorted(entry_points(group=group), key=_newest)
        }
        logging.basicConfig(level=logging.INFO, handlers=[FrameLogs(emit)], force=True)
        logging.captureWarnings(capture=True)
        count_with(self._count)

    def warm_up(self) -> None:
        """Loads docket's own plugins, so that the first call need not.

        Others are loaded by their first call: one that kills its process then spoils that call, not every start.
        """
        for (group, name), entry in self._entries.items():
            if entry.dist is None or entry.dist.name != "docket-plugins":
                continue
            try:
                self._plugin(group, name)
            except BaseException as error:
                logging.getLogger("docket_plugins").warning("%s %s cannot be loaded: %r", group, name, error)

    def call(self, header: str, payload: bytes) -> tuple[str, bytes]:
        """Serves one call; never raises."""
        try:
            request = cast("Json", json.loads(header))
            deadline = request.get("deadline_ms")
            traceparent = request.get("traceparent")
            enter_call(
                CallContext(
                    traceparent=traceparent if isinstance(traceparent, str) else None,
                    deadline_ms=deadline if isinstance(deadline, int) else 0,
                )
            )
            result, answer = self._serve(request, payload)
            # The answer must be JSON before it is called a result.
            return json.dumps({"kind": "result", "result": result}), answer
        except RefusedFileError as refused:
            return json.dumps({"kind": "refused", "reason": refused.reason, "message": refused.sentence}), b""
        except BaseException as error:
            return json.dumps({"kind": "error", "error": _kind(error), **_described(error)}), b""
        finally:
            enter_call(NO_CALL)
            for stream in (sys.stdout, sys.stderr):
                _flush(stream)

    def _serve(self, request: Json, payload: bytes) -> Answer:
        if request["call"] == "list":
            return {"plugins": [self._about(group, name) for group, name in self._entries]}, b""
        loaded = self._plugin(str(request["group"]), str(request["name"]))
        if request["call"] == "self_test":
            loaded.plugin.self_test()
            return {}, b""
        return loaded.serve(cast("Json", request.get("arguments") or {}), payload)

    def _plugin(self, group: str, name: str) -> Loaded:
        loaded = self._loaded.get((group, name))
        if loaded is not None:
            return loaded
        entry = self._entries.get((group, name))
        if entry is None:
            message = f"no plugin of the group {group} is called {name}"
            raise NoSuchPluginError(message)
        plugin = as_plugin(group, entry.load()())
        if plugin is None:
            message = f"{entry.value} does not do what plugins of the group {group} do"
            raise UnfitPluginError(message)
        self._loaded[group, name] = loaded = Loaded(plugin, _serving(group, plugin))
        return loaded

    def _about(self, group: str, name: str) -> Json:
        entry = self._entries[group, name]
        package = entry.dist
        about: dict[str, object] = {
            "group": group,
            "name": name,
            "source": entry.value,
            "package": package.name if package else None,
            "version": package.version if package else None,
        }
        try:
            plugin = self._plugin(group, name).plugin
            about["media_types"] = list(plugin.media_types) if isinstance(plugin, Parser) else []
        except BaseException as error:
            about["problem"] = f"{type(error).__name__}: {error}"
        return about

    def _count(self, name: str, amount: int) -> None:
        self._emit(json.dumps({"kind": "count", "event": name[:60], "amount": max(0, int(amount))}))


def _newest(entry: EntryPoint) -> str:
    # Of two packages that give a plugin the same name, the one with the later package name wins, always.
    return entry.dist.name if entry.dist else ""


def _serving(group: str, plugin: Plugin) -> Serve:
    match plugin:
        case Parser() if group == "docket.parsers":
            return partial(_parse, plugin)
        case Chunker() if group == "docket.chunkers":
            return partial(_chunk, plugin)
        case Reranker() if group == "docket.rerankers":
            return partial(_score, plugin)
        case Enricher() if group == "docket.enrichers":
            return partial(_enrich, plugin)
        case Grader() if group == "docket.graders":
            return partial(_grade, plugin)
        case _:
            message = f"there are no plugins of the group {group}"
            raise NoSuchPluginError(message)


def _parse(plugin: Parser, arguments: Json, payload: bytes) -> Answer:
    read = plugin.parse(File(str(arguments["name"]), str(arguments["media_type"]), payload))
    for note in read.notes:
        logging.getLogger("docket_plugins").info("%s: %s", arguments["name"], note)
    result: Json = {
        "page_starts": list(read.page_starts),
        "headings": [asdict(heading) for heading in read.headings],
        "title": read.title,
        "language": read.language,
    }
    # Half of a surrogate pair is a code point to Python and nothing to anybody else.
    return result, read.text.encode("utf-8", errors="replace")


def _chunk(plugin: Chunker, arguments: Json, payload: bytes) -> Answer:
    size, overlap = cast("int", arguments["size"]), cast("int", arguments["overlap"])
    spans = plugin.chunk(payload.decode(), size=size, overlap=overlap)
    return {"spans": [[int(start), int(end)] for start, end in spans]}, b""


def _score(plugin: Reranker, arguments: Json, _payload: bytes) -> Answer:
    passages = cast("Sequence[str]", arguments["passages"])
    scores = [float(score) for score in plugin.score(str(arguments["query"]), passages)]
    if len(scores) != len(passages):
        message = f"{len(scores)} scores for {len(passages)} passages"
        raise UnfitPluginError(message)
    return {"scores": scores}, b""


def _enrich(plugin: Enricher, arguments: Json, _payload: bytes) -> Answer:
    return dict(plugin.enrich(cast("Json", arguments["record"]))), b""


def _grade(plugin: Grader, arguments: Json, _payload: bytes) -> Answer:
    contexts = cast("Sequence[str]", arguments["contexts"])
    marks = plugin.grade(str(arguments["question"]), str(arguments["answer"]), contexts)
    return {"marks": {name: float(mark) for name, mark in marks.items()}}, b""


def _kind(error: BaseException) -> str:
    match error:
        case NoSuchPluginError():
            return "missing"
        case ImportError():
            return "import"
        case MemoryError():
            return "memory"
        case SystemExit():
            return "exit"
        case _:
            return "exception"


def _described(error: BaseException) -> Json:
    message = f"{type(error).__name__}: {error}"[:MESSAGE_MAX]
    return {"message": message, "traceback": _worded(error)}


def _worded(error: BaseException | None) -> str:
    try:
        return "".join(traceback.format_exception(error))[-TRACEBACK_MAX:]
    except (MemoryError, RecursionError):
        return repr(type(error))


def _flush(stream: object) -> None:
    flush = getattr(stream, "flush", None)
    if callable(flush):
        try:
            flush()
        except (OSError, ValueError):
            # A plugin closed it; nobody reads it any more.
            return
