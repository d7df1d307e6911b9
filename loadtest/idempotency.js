// Idempotent retries: a third of the writes is sent three times at once and once more later, under one key. Proves that
// there is one effect: answers equal to the byte, and another body under the same key refused.
import http from 'k6/http';
import { key, must, newCase, read, uniqueKey, url, write } from './lib/docket.js';
import { objectives } from './lib/objectives.js';
import { report, summaryTrendStats } from './lib/report.js';

export const options = {
  scenarios: { retries: { executor: 'constant-vus', vus: 10, duration: __ENV.DURATION || '30s' } },
  thresholds: objectives('writes', 'reads'),
  summaryTrendStats,
};

export default function retries() {
  const idempotencyKey = uniqueKey();
  const body = newCase();
  const headers = {
    Authorization: `Bearer ${key(0, 'reporter')}`,
    'Content-Type': 'application/json',
    'Idempotency-Key': idempotencyKey,
  };
  const request = ['POST', `${url}/v1/cases`, JSON.stringify(body), { headers, tags: { slo: 'writes', name: 'POST /v1/cases' } }];
  const together = http.batch([request, request, request]);
  // At the same moment one does the work and the others are told that it is in flight, or get its answer.
  must(together.every(({ status }) => status === 201 || status === 409), 'sent together: 201, or 409 in flight');
  const again = write('/v1/cases', body, { idempotencyKey, name: 'POST /v1/cases' });
  must(again.status === 201, 'sent again: the stored answer');
  must(together.every(({ status, body: text }) => status !== 201 || text === again.body), 'all answers are equal to the byte');
  const other = write('/v1/cases', newCase({ severity: 'low' }), { idempotencyKey, name: 'POST /v1/cases' });
  must(other.status === 422, 'another body under the same key is refused');
  must(read(`/v1/cases/${again.json('id')}`, { name: 'GET /v1/cases/{id}' }).status === 200, 'the case is there');
}

export const handleSummary = report('idempotency', 'Ten users who send every write again and again.');
