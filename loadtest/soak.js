// Soak: ordinary use at a moderate rate for an hour. Proves that nothing accumulates: the objectives hold to the end. Watch
// memory, descriptors and the size of the database meanwhile (dashboard "overview"). RATE, DURATION.
import { ordinaryUse } from './lib/mix.js';
import { objectives } from './lib/objectives.js';
import { report, summaryTrendStats } from './lib/report.js';

const rate = Number(__ENV.RATE || 70);
const duration = __ENV.DURATION || '60m';

export const options = {
  scenarios: {
    soak: { executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration, preAllocatedVUs: 50, maxVUs: 300 },
  },
  thresholds: objectives('writes', 'reads', 'search'),
  summaryTrendStats,
};

export default () => ordinaryUse();

export const handleSummary = report('soak', `Ordinary use, ${rate} iterations a second for ${duration}.`);
