// Stress: ordinary use, more and more of it, beyond what the machine can do. Proves that overload is answered "not now" (429,
// 503 with Retry-After) and never wrongly. Where the answers begin to be late is the knee. PEAK (iterations a second), STEP.
import { ordinaryUse } from './lib/mix.js';
import { report, summaryTrendStats } from './lib/report.js';

const peak = Number(__ENV.PEAK || 2000);
const step = __ENV.STEP || '20s';

export const options = {
  scenarios: {
    stress: {
      executor: 'ramping-arrival-rate',
      startRate: peak / 10,
      timeUnit: '1s',
      preAllocatedVUs: 200,
      maxVUs: 1000,
      stages: [0.25, 0.5, 0.75, 1, 1].map((share) => ({ target: peak * share, duration: step })),
    },
  },
  thresholds: {
    wrong_answers: ['count==0'],
    // Without a bound: only so that the report shows the times.
    'http_req_waiting{slo:writes}': [],
    'http_req_waiting{slo:reads}': [],
    'http_req_waiting{slo:search}': [],
  },
  summaryTrendStats,
};

export default () => ordinaryUse();

export const handleSummary = report('stress', `Ordinary use, rising to ${peak} iterations a second.`);
