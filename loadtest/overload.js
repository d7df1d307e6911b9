// Overload: what the service does when it is asked for far more than it can do (battery R15). First its peak with as many clients
// as have places, then ten times as many clients without a pause for a minute, then the first ones again. Proves: at least 80 % of the
// peak is still done, everybody else hears "not now" (429, 503) at once, nobody a 500, and ten seconds later all is as before.
// CLIENTS (of the peak), DURATION (of the overload). k6 knows no bound on a ratio, so the figures go to REPORT_DIR/overload.json, and
// judge_overload.py fails the run.
import http from 'k6/http';
import { Counter, Gauge, Trend } from 'k6/metrics';
import exec from 'k6/execution';
import { read, url, word, write, newCase } from './lib/docket.js';
import { report, summaryTrendStats } from './lib/report.js';

const clients = Number(__ENV.CLIENTS || 8);
const duration = Number(__ENV.DURATION || 60);
const PEAK = 15;
const AFTER = 20;

const done = { peak: new Counter('done_peak'), overload: new Counter('done_overload'), after: new Counter('done_after') };
const times = { peak: new Trend('time_done_peak', true), overload: new Trend('time_done_overload', true), after: new Trend('time_done_after', true) };
const refusedIn = new Trend('time_refused', true);
const other = new Counter('neither_done_nor_refused');
const memory = { peak: new Gauge('memory_peak'), overload: new Gauge('memory_overload') };

const scenario = (part, vus, startTime, seconds) => ({
  executor: 'constant-vus', vus, startTime: `${startTime}s`, duration: `${seconds}s`, gracefulStop: '5s', env: { PART: part }, exec: 'use',
});

export const options = {
  scenarios: {
    peak: scenario('peak', clients, 0, PEAK),
    overload: scenario('overload', clients * 10, PEAK, duration),
    // Ten seconds to come back are granted.
    after: scenario('after', clients, PEAK + duration + 10, AFTER),
    memory: { executor: 'constant-arrival-rate', rate: 1, timeUnit: '2s', duration: `${PEAK + duration}s`, preAllocatedVUs: 3, exec: 'watch' },
  },
  thresholds: {
    wrong_answers: ['count==0'],
    neither_done_nor_refused: ['count==0'],
  },
  summaryTrendStats,
};

export function use() {
  const part = __ENV.PART;
  const answer = Math.random() < 0.3
    ? write('/v1/cases', newCase(), { name: 'POST /v1/cases' })
    : read(`/v1/cases?q=${word()}&limit=5`, { name: 'GET /v1/cases', role: 'caseworker' });
  if (answer.status >= 200 && answer.status < 300) {
    done[part].add(1);
    times[part].add(answer.timings.waiting);
  } else if (answer.status === 429 || answer.status === 503) {
    refusedIn.add(answer.timings.waiting);
  } else {
    other.add(1);
    console.error(`answered ${answer.status} ${answer.error}`);
  }
}

export function watch() {
  const part = exec.instance.currentTestRunDuration < PEAK * 1000 ? 'peak' : 'overload';
  const said = /^process_resident_memory_bytes (\S+)/m.exec(http.get(`${url}/metrics`).body || '');
  if (said) {
    memory[part].add(Number(said[1]) / 2 ** 20);
  }
}

const written = report('overload', `${clients} clients for ${PEAK} s, ${clients * 10} for ${duration} s, ${clients} again.`);

export function handleSummary(data) {
  const value = (name, kind) => (data.metrics[name] ? data.metrics[name].values[kind] : 0);
  const peak = value('done_peak', 'count') / PEAK;
  const during = value('done_overload', 'count') / duration;
  const after = value('done_after', 'count') / AFTER;
  const figures = {
    peak_per_second: peak,
    overload_per_second: during,
    after_per_second: after,
    refused: value('refused_not_now', 'count'),
    refused_median_ms: value('time_refused', 'med'),
    refused_p99_ms: value('time_refused', 'p(99)'),
    peak_mib: value('memory_peak', 'max'),
    overload_mib: value('memory_overload', 'max'),
  };
  const longest = ['peak', 'overload', 'after'].map((part) => `${part} ${value(`time_done_${part}`, 'p(99)').toFixed(0)} ms`);
  const answer = written(data);
  answer.stdout = `${answer.stdout || ''}\ntime of what was done, p99: ${longest.join(', ')}\n`;
  if (__ENV.REPORT_DIR) {
    answer[`${__ENV.REPORT_DIR}/overload.json`] = JSON.stringify(figures, null, 2);
  }
  return answer;
}
