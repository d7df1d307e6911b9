"""A procrastinate worker, asynchronous, at its best concurrency; prints how many jobs it ran."""

from __future__ import annotations

import asyncio
import json
import os
import time

import procrastinate

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["DATABASE_URL"], max_size=24))
ran: list[int] = [0]


@app.task(name="noop", queue="bench")
async def noop() -> None:
    """Does nothing."""
    ran[0] += 1


async def report() -> None:
    """A line every 20 ms."""
    while True:
        print(json.dumps({"ran": ran[0], "at": time.time() * 1_000}), flush=True)
        await asyncio.sleep(0.02)


async def main() -> None:
    """Works until it is told to stop."""
    async with app.open_async():
        if os.environ.get("APPLY_SCHEMA"):
            await app.schema_manager.apply_schema_async()
            return
        lines = asyncio.create_task(report())
        await app.run_worker_async(
            queues=["bench"], concurrency=24, delete_jobs="always", fetch_job_polling_interval=0.5
        )
        lines.cancel()


if __name__ == "__main__":
    asyncio.run(main())
