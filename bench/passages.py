"""Makes passages of tenants: texts of Zipf's words and vectors around topics, the same ones in every run.

A topic is a question with the vector that the embedding model gives it; the vector of a passage is that of its topic
turned by 45 degrees into a random direction. Vectors drawn evenly from all directions would have no neighbourhoods, and
no real texts are like that.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import psycopg

from bench import corpus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bench.database import Database
    from bench.model import Encoder, Vectors

TOPICS = 1_000
QUESTIONS = 200
PASSAGES_OF_A_DOCUMENT = 50
LENGTHS = (40, 121)
SHARES = (("public", 0.2), ("internal", 0.7), ("restricted", 0.1))
COLUMNS = (
    "tenant_id, id, document_id, collection_id, generation, ordinal, text, heading_path, char_start, char_end, "
    "token_count, content_sha256, embedding, confidentiality, created_by"
)
# COPY's binary format: https://www.postgresql.org/docs/current/sql-copy.html
HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
TRAILER = struct.pack("!h", -1)
NO_TEXTS = struct.pack("!iii", 0, 0, 25)


@dataclass(frozen=True)
class Topics:
    """Questions, and the vectors around which passages lie."""

    questions: list[str]
    vectors: Vectors

    @classmethod
    def of(cls, encoder: Encoder) -> Topics:
        """The first topics are questions of two rare and three common words; the others only have vectors."""
        generator = np.random.default_rng(1)
        words, weights = corpus.vocabulary()
        chances = _chances(weights)
        texts: list[str] = []
        for _ in range(TOPICS):
            common = generator.choice(len(words), size=3, p=chances)
            rare = generator.integers(200, 5_000, size=2)
            texts.append(" ".join(words[int(index)] for index in (*common, *rare)))
        return cls(texts[:QUESTIONS], encoder.embed(texts, 32))


@dataclass(frozen=True)
class Passages:
    """What one tenant has."""

    tenant: corpus.Tenant
    texts: list[str]
    vectors: Vectors
    confidentialities: list[str]

    def id(self, number: int) -> uuid.UUID:
        """The id of a passage."""
        return uuid.UUID(int=self.tenant.id.int ^ (number + 1))

    def number(self, passage: str) -> int:
        """The reverse."""
        return (uuid.UUID(passage).int ^ self.tenant.id.int) - 1

    def document(self, number: int) -> uuid.UUID:
        """The document that a passage is in."""
        return uuid.uuid5(self.tenant.id, f"document {number // PASSAGES_OF_A_DOCUMENT}")


def tenants(passages: int, number: int) -> list[tuple[corpus.Tenant, int]]:
    """The tenants and how many passages each has: the first two fifths of all, the others the same."""
    rest = (passages - passages * 2 // 5) // (number - 1)
    sizes = [passages - rest * (number - 1)] + [rest] * (number - 1)
    return [(corpus.tenant(f"reader-{index:02}"), size) for index, size in enumerate(sizes)]


def make(tenant: corpus.Tenant, count: int, topics: Topics, seed: int) -> Passages:
    """The passages of a tenant."""
    generator = np.random.default_rng(seed)
    words, weights = corpus.vocabulary()
    lengths: NDArray[np.int64] = generator.integers(*LENGTHS, size=count)
    drawn = np.searchsorted(np.array(weights), generator.random(int(lengths.sum())) * weights[-1])
    names = iter([words[int(index)] for index in drawn])
    texts = [" ".join(itertools.islice(names, int(length))) for length in lengths]
    turned = generator.standard_normal((count, topics.vectors.shape[1]), dtype=np.float32)
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    vectors: Vectors = topics.vectors[generator.integers(0, TOPICS, size=count)] + turned
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    levels = generator.choice([name for name, _ in SHARES], size=count, p=[share for _, share in SHARES])
    return Passages(tenant, texts, vectors, [str(level) for level in levels])


def write(database: Database, passages: list[Passages]) -> None:
    """Writes everything in one transaction; the graphs of the vectors are built afterwards, from all of them."""
    found = database.run(
        "SELECT indexname || '|' || indexdef FROM pg_indexes WHERE indexname LIKE 'chunks_by_meaning%';"
    )
    graphs = dict(line.split("|", 1) for line in found.splitlines())
    where = f"host={database.socket_directory} port={database.port} dbname={database.name} user=postgres"
    with psycopg.connect(where) as connection:
        for graph in graphs:
            connection.execute(f"DROP INDEX docket.{graph}".encode())
        for one in passages:
            connection.execute(_documents(one).encode())
            with connection.cursor().copy(
                f"COPY docket.chunks ({COLUMNS}) FROM STDIN (FORMAT binary)".encode()
            ) as copy:
                copy.write(HEADER)
                for row in _rows(one):
                    copy.write(row)
                copy.write(TRAILER)
        connection.commit()
    # The server's shared memory may be small, so one process builds the graphs.
    database.run(
        "SET search_path = public, docket; SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 0;"
        + "".join(f"{definition};" for definition in graphs.values())
        + "VACUUM (ANALYZE) docket.chunks; ANALYZE docket.documents; CHECKPOINT;"
    )


def _documents(passages: Passages) -> str:
    """A collection, its documents, and the one content that all of them share."""
    tenant, owner = passages.tenant.id, passages.tenant.supervisor.id
    collection = uuid.uuid5(tenant, "collection")
    count = (len(passages.texts) - 1) // PASSAGES_OF_A_DOCUMENT + 1
    rows = ", ".join(
        f"('{tenant}', '{passages.document(number * PASSAGES_OF_A_DOCUMENT)}', '{collection}', 'Document {number}', "
        f"'document-{number}.md', 'text/markdown', sha256(''), 0, 'internal', 'ready', 1, {PASSAGES_OF_A_DOCUMENT}, "
        f"'{owner}', now(), now())"
        for number in range(count)
    )
    return (
        "INSERT INTO docket.collections (tenant_id, id, name, chunking_strategy, chunk_size, "  # noqa: S608 - ours
        "chunk_overlap, created_by, created_at) "
        f"VALUES ('{tenant}', '{collection}', 'bench', 'recursive', 256, 32, '{owner}', now());"
        "INSERT INTO docket.evidence_blobs (tenant_id, sha256, size_bytes, media_type, created_at) "
        f"VALUES ('{tenant}', sha256(''), 0, 'text/markdown', now());"
        "INSERT INTO docket.documents (tenant_id, id, collection_id, title, source, media_type, sha256, size_bytes, "
        f"confidentiality, status, generation, chunk_count, created_by, created_at, updated_at) VALUES {rows}"
    )


def _rows(passages: Passages) -> Iterator[bytes]:
    tenant = passages.tenant.id.bytes
    collection = uuid.uuid5(passages.tenant.id, "collection").bytes
    owner = passages.tenant.supervisor.id.bytes
    width = passages.vectors.shape[1]
    numbers = passages.vectors.astype(">f4")
    for number, text in enumerate(passages.texts):
        content = text.encode()
        yield _row(
            tenant,
            passages.id(number).bytes,
            passages.document(number).bytes,
            collection,
            _integer(1),
            _integer(number % PASSAGES_OF_A_DOCUMENT),
            content,
            NO_TEXTS,
            _integer(0),
            _integer(len(text)),
            _integer(text.count(" ") + 1),
            hashlib.sha256(content).digest(),
            struct.pack("!hh", width, 0) + numbers[number].tobytes(),
            passages.confidentialities[number].encode(),
            owner,
        )


def _row(*fields: bytes) -> bytes:
    return struct.pack("!h", len(fields)) + b"".join(struct.pack("!i", len(field)) + field for field in fields)


def _integer(value: int) -> bytes:
    return struct.pack("!i", value)


def _chances(cumulative: list[float]) -> NDArray[np.float64]:
    weights = np.diff(np.array(cumulative), prepend=0.0)
    chances: NDArray[np.float64] = weights / weights.sum()
    return chances
