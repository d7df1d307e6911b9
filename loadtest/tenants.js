// Mixed tenants: one is loud, one is quiet. Proves that the quiet one keeps its objectives beside the loud one, and that
// neither ever sees a case of the other: a foreign id is answered like one that does not exist. LOUD (iterations a second).
import exec from 'k6/execution';
import { createAndSubmit, must, read, search } from './lib/docket.js';
import { ordinaryUse } from './lib/mix.js';
import { objectives } from './lib/objectives.js';
import { report, summaryTrendStats } from './lib/report.js';

const loud = Number(__ENV.LOUD || 100);
const duration = __ENV.DURATION || '30s';

// The objectives of the quiet tenant alone.
function ofTheQuiet() {
  const found = objectives('writes', 'reads', 'search');
  return Object.fromEntries(Object.entries(found).map(([name, rules]) => [name.replace('}', ',who:quiet}'), rules]));
}

export const options = {
  scenarios: {
    loud: { executor: 'constant-arrival-rate', exec: 'loudTenant', rate: loud, timeUnit: '1s', duration, preAllocatedVUs: 50, maxVUs: 200 },
    quiet: { executor: 'constant-arrival-rate', exec: 'quietTenant', rate: 5, timeUnit: '1s', duration, preAllocatedVUs: 5, maxVUs: 20 },
  },
  thresholds: ofTheQuiet(),
  summaryTrendStats,
};

// A case of the quiet tenant, for the loud one to ask for.
export function setup() {
  const id = createAndSubmit({ tenant: 1 });
  if (!id) {
    exec.test.abort('the case of the quiet tenant could not be created');
  }
  return { id };
}

export function loudTenant({ id }) {
  ordinaryUse({ tenant: 0, tags: { who: 'loud' } });
  if (Math.random() < 0.1) {
    const foreign = read(`/v1/cases/${id}`, { tenant: 0, role: 'auditor', name: 'GET /v1/cases/{id} of another tenant' });
    must([404, 429, 503].includes(foreign.status), 'a foreign case is answered like a missing one');
  }
}

export function quietTenant({ id }) {
  const tags = { who: 'quiet' };
  createAndSubmit({ tenant: 1, tags });
  must(read(`/v1/cases/${id}`, { tenant: 1, tags, name: 'GET /v1/cases/{id}' }).status === 200, 'its own case is there');
  search('q=signal&limit=10', { tenant: 1, role: 'caseworker', tags });
}

export const handleSummary = report('tenants', `A tenant with ${loud} iterations a second beside one with 5.`);
