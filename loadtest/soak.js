// Soak: ordinary use at a moderate rate for an hour (battery R16). Proves that nothing accumulates: the objectives hold to the end, and
// times of the last third are those of the second. resources.py judges memory and descriptors meanwhile. RATE, DURATION.
import exec from 'k6/execution';
import { ordinaryUse } from './lib/mix.js';
import { objectives } from './lib/objectives.js';
import { report, summaryTrendStats } from './lib/report.js';

const rate = Number(__ENV.RATE || 70);
const duration = __ENV.DURATION || '60m';

export const options = {
  scenarios: {
    soak: { executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration, preAllocatedVUs: 50, maxVUs: 300 },
  },
  thresholds: {
    ...objectives('writes', 'reads', 'search'),
    // Without a bound: only so that the report has the times of each third.
    ...Object.fromEntries([1, 2, 3].map((third) => [`http_req_waiting{third:${third}}`, []])),
  },
  summaryTrendStats,
};

export default () => {
  const third = Math.min(3, 1 + Math.floor(exec.scenario.progress * 3));
  ordinaryUse({ tags: { third: String(third) } });
};

const written = report('soak', `Ordinary use, ${rate} iterations a second for ${duration}.`);

export function handleSummary(data) {
  const p99 = (third) => (data.metrics[`http_req_waiting{third:${third}}`] || { values: {} }).values['p(99)'] || 0;
  const drift = (100 * (p99(3) - p99(2))) / p99(2);
  const answer = written(data);
  answer.stdout += `p99 by thirds: ${[1, 2, 3].map((third) => `${p99(third).toFixed(1)} ms`).join(', ')}; drift from the second to the last ${drift.toFixed(0)} %\n`;
  return answer;
}
