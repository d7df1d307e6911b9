// Load: ordinary use at a constant rate of arrival for a minute, whatever the service does. Proves that the objectives are
// kept at the load that one small machine is meant for. RATE (iterations a second), DURATION.
import { ordinaryUse } from './lib/mix.js';
import { objectives } from './lib/objectives.js';
import { report, summaryTrendStats } from './lib/report.js';

const rate = Number(__ENV.RATE || 100);

export const options = {
  scenarios: {
    load: {
      executor: 'constant-arrival-rate',
      rate,
      timeUnit: '1s',
      duration: __ENV.DURATION || '60s',
      preAllocatedVUs: 50,
      maxVUs: 300,
    },
  },
  // Work that could not be begun is a failure of the test, not a success of the service.
  thresholds: { ...objectives('writes', 'reads', 'search'), dropped_iterations: [`count<=${rate / 10}`] },
  summaryTrendStats,
};

export default () => ordinaryUse();

export const handleSummary = report('load', `Ordinary use, ${rate} iterations begun a second.`);
