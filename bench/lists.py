"""Lists and searches over a large tenant: which requests, as whom, and how the last page compares with the first."""

from __future__ import annotations

import functools
import json
import random
import statistics
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator

from bench import corpus, load_generator
from bench.corpus import Tenant, word

PATHS = 40
Query = Callable[[random.Random, Tenant], dict[str, str]]


def _day(generator: random.Random, first: int, last: int) -> str:
    return (
        (corpus.FIRST_DAY + corpus.timedelta(days=generator.randrange(first, last))).isoformat().replace("+00:00", "Z")
    )


@functools.cache
def _phrases(tenant: Tenant) -> list[str]:
    """The first two words of some cases' titles; seeded as `Database.seed` seeds the largest tenant."""
    titles = (line.split("\t")[7] for line in corpus.cases(tenant, PATHS, seed=0))
    return [" ".join(title.split()[:2]) for title in titles]


def _phrase(number: int, tenant: Tenant) -> str:
    return f'"{_phrases(tenant)[number]}"'


# Each query draws its values anew, so that forty requests are forty different ones where values exist.
LISTS: dict[str, Query] = {
    "first page": lambda _, __: {},
    "deep page (opened before 2020-03)": lambda g, _: {"opened_before": _day(g, 40, 60)},
    "oldest first": lambda _, __: {"sort": "opened_at"},
    "by deadline": lambda _, __: {"sort": "due_at"},
    "due before": lambda g, _: {"due_before": _day(g, 100, 2_000)},
    "state escalated": lambda _, __: {"state": "escalated"},
    "state draft or decided": lambda _, __: {"state": "draft,decided"},
    "state withdrawn": lambda _, __: {"state": "withdrawn"},
    "severity critical": lambda _, __: {"severity": "critical"},
    "confidentiality restricted": lambda _, __: {"confidentiality": "restricted"},
    "assignee": lambda g, t: {"assignee_id": str(g.choice(t.caseworkers).id)},
    "reporter": lambda g, t: {"reporter_id": str(g.choice(t.reporters).id)},
    "case type": lambda g, _: {"case_type": f"type-{g.randrange(corpus.CASE_TYPES)}"},
    "case type that no case has": lambda g, _: {"case_type": f"none-{g.randrange(1_000)}"},
    "reference": lambda g, t: {"reference": f"{t.name}-{g.randrange(10_000):07}"},
    "opened range": lambda g, _: {"opened_from": _day(g, 0, 900), "opened_before": _day(g, 1_000, 2_000)},
    "escalated, critical, assignee": lambda g, t: {
        "state": "escalated", "severity": "critical", "assignee_id": str(g.choice(t.caseworkers).id),
    },
    "restricted, critical, case type": lambda g, _: {
        "confidentiality": "restricted", "severity": "critical", "case_type": f"type-{g.randrange(corpus.CASE_TYPES)}",
    },
    "escalated, restricted, critical": lambda _, __: {
        "state": "escalated", "confidentiality": "restricted", "severity": "critical",
    },
}  # fmt: skip
SEARCHES: dict[str, Query] = {
    "rare word": lambda g, _: {"q": word(g.randrange(10_000, 20_000))},
    "medium word (1 in 20 to 1 in 100)": lambda g, _: {"q": word(g.randrange(120, 600))},
    "common word (1 in 3 or more)": lambda g, _: {"q": word(g.randrange(15))},
    "word that no case has": lambda g, _: {"q": f"zebra{g.randrange(1_000)}"},
    "two medium words": lambda g, _: {"q": f"{word(g.randrange(20, 100))} {word(g.randrange(100, 300))}"},
    "common and rare word": lambda g, _: {"q": f"{word(g.randrange(10))} {word(g.randrange(5_000, 20_000))}"},
    "phrase of common words": lambda g, _: {"q": f'"{word(g.randrange(5))} {word(g.randrange(5))}"'},
    "phrase out of a case": lambda g, t: {"q": _phrase(g.randrange(PATHS), t)},
    "common word, state escalated": lambda g, _: {"q": word(g.randrange(15)), "state": "escalated"},
    "medium word, assignee": lambda g, t: {
        "q": word(g.randrange(120, 600)), "assignee_id": str(g.choice(t.caseworkers).id),
    },
}  # fmt: skip


def paths(query: Query, tenant: Tenant, seed: int = 7) -> list[str]:
    """Forty requests of a kind."""
    generator = random.Random(seed)
    drawn = (urllib.parse.urlencode(query(generator, tenant)) for _ in range(PATHS))
    return [f"/v1/cases?{text}" if text else "/v1/cases" for text in drawn]


def viewers(tenant: Tenant) -> dict[str, str]:
    """Keys of those who see everything, most, and little."""
    people = {"supervisor": tenant.supervisor, "caseworker": tenant.caseworkers[1], "reporter": tenant.reporters[1]}
    return {role: principal.key for role, principal in people.items()}


def measure(address: str, tenant: Tenant, seconds: float) -> Iterator[tuple[str, str, str, load_generator.Load]]:
    """Group, kind, role and what was measured over one connection, each after a short warm-up."""
    for group, queries in (("list", LISTS), ("search", SEARCHES)):
        for kind, query in queries.items():
            work = {"kind": "get", "paths": paths(query, tenant)}
            for role, key in viewers(tenant).items():
                load_generator.run(address, key, work, seconds / 4, connections=1)
                yield group, kind, role, load_generator.run(address, key, work, seconds, connections=1)


def walk(address: str, key: str) -> tuple[int, float, float]:
    """Follows `next` to the end: the number of pages, and the medians of the first and last fifty in milliseconds."""
    times: list[float] = []
    path: str | None = "/v1/cases"
    while path:
        request = urllib.request.Request(f"http://{address}{path}", headers={"Authorization": f"Bearer {key}"})
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own server
            page = json.load(answer)
        times.append((time.perf_counter() - began) * 1_000)
        path = f"/v1/cases?cursor={urllib.parse.quote(page['next'])}" if "next" in page else None
    return len(times), statistics.median(times[:50]), statistics.median(times[-50:])
