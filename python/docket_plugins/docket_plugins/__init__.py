"""Plugins for docket: ordinary Python packages that the service finds by their entry points.

A plugin is a class without constructor arguments that fits one of the protocols below, named in the
``pyproject.toml`` of its package under the group of its kind::

    [project.entry-points."docket.rerankers"]
    mine = "my_package:MyReranker"

It runs in a worker process of its own, not in the service: it may be slow, use memory or crash, and the
service goes on.
``docket plugins`` lists what is found and tries each one's self-test.
"""

from docket_plugins.context import CallContext, count, current_call
from docket_plugins.errors import Reason, RefusedFileError
from docket_plugins.protocols import (
    GROUPS,
    Chunker,
    Enricher,
    Extracted,
    File,
    Grader,
    Heading,
    Parser,
    Plugin,
    Reranker,
)

__all__ = [
    "GROUPS",
    "CallContext",
    "Chunker",
    "Enricher",
    "Extracted",
    "File",
    "Grader",
    "Heading",
    "Parser",
    "Plugin",
    "Reason",
    "RefusedFileError",
    "Reranker",
    "count",
    "current_call",
]
