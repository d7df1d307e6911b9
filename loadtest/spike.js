// Spike: quiet, then ten times as much within a second, then quiet again. Proves that a burst leaves nothing behind: in the
// quiet after it the objectives are kept again. RATE (quiet iterations a second).
import exec from 'k6/execution';
import { ordinaryUse } from './lib/mix.js';
import { objectives } from './lib/objectives.js';
import { report, summaryTrendStats } from './lib/report.js';

const rate = Number(__ENV.RATE || 50);
const arrivals = { executor: 'constant-arrival-rate', timeUnit: '1s', preAllocatedVUs: 50, maxVUs: 500 };

// The objectives of the quiet after the burst, ten seconds after its end.
function afterwards() {
  const found = objectives('writes', 'reads', 'search');
  return Object.fromEntries(Object.entries(found).map(([name, rules]) => [name.replace('}', ',phase:after}'), rules]));
}

export const options = {
  scenarios: {
    before: { ...arrivals, rate, duration: '20s', tags: { phase: 'before' } },
    burst: { ...arrivals, rate: rate * 10, startTime: '20s', duration: '20s', tags: { phase: 'burst' } },
    after: { ...arrivals, rate, startTime: '50s', duration: '20s', tags: { phase: 'after' } },
  },
  thresholds: afterwards(),
  summaryTrendStats,
};

export default () => ordinaryUse({ tags: { phase: exec.scenario.name } });

export const handleSummary = report('spike', `${rate} iterations a second, ten times as many for 20 s, then as before.`);
