// Smoke: one user, every kind of request, for half a minute. Proves that the scripts and the service understand each other
// and that the objectives are kept when nothing is going on. Run it first.
import { createAndSubmit, must, read, search, write } from './lib/docket.js';
import { objectives } from './lib/objectives.js';
import { report, summaryTrendStats } from './lib/report.js';

export const options = {
  scenarios: { smoke: { executor: 'constant-vus', vus: 1, duration: __ENV.DURATION || '20s' } },
  thresholds: objectives('writes', 'reads', 'search'),
  summaryTrendStats,
};

export default function smoke() {
  const id = createAndSubmit();
  if (!must(id !== null, 'a case is created')) {
    return;
  }
  const seen = read(`/v1/cases/${id}`, { name: 'GET /v1/cases/{id}' });
  must(seen.status === 200 && seen.json('state') === 'submitted', 'the case is there and submitted');
  must(read(`/v1/cases/${id}/actions`, { name: 'GET /v1/cases/{id}/actions' }).status === 200, 'its actions are told');
  const stale = write(`/v1/cases/${id}/transitions`, { command: 'withdraw', reason: 'smoke' }, {
    name: 'POST /v1/cases/{id}/transitions',
    headers: { 'If-Match': '"v1"' },
  });
  must(stale.status === 412, 'a stale version is refused');
  const found = search(`reference=${seen.json('reference')}`);
  must(found.status === 200 && found.json('items.0.id') === id, 'the case is found by its reference');
  must(search('q=buoy&limit=5').status === 200, 'the text search answers');
}

export const handleSummary = report('smoke', 'One user, every kind of request.');
