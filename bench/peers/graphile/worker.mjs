// A graphile-worker with local queue and batched completion; prints how many jobs it ran and how long they waited.
import { run } from "graphile-worker";

let ran = 0;
const waits = [];
const runner = await run({
  preset: {
    worker: {
      connectionString: process.env.DATABASE_URL,
      concurrentJobs: 24,
      maxPoolSize: 24,
      pollInterval: 500,
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  },
  taskList: {
    noop(payload) {
      ran += 1;
      if (payload.sent) waits.push(Date.now() - payload.sent);
    },
  },
});
const report = setInterval(() => console.log(JSON.stringify({ ran, at: Date.now() })), 20);
process.on("SIGTERM", async () => {
  clearInterval(report);
  console.log(JSON.stringify({ ran, waits, at: Date.now() }));
  await runner.stop();
  process.exit(0);
});
