// What every scenario shares: where docket is, the demonstration keys, unique idempotency keys, and one function a request.
//
// Environment: DOCKET_DEMO_FILE (an absolute path; default: .docket/demo.json of the project, where `make run` writes it),
// DOCKET_URL (default: the url in that file).
import http from 'k6/http';
import { Counter, Rate } from 'k6/metrics';
import exec from 'k6/execution';

const demo = JSON.parse(open(__ENV.DOCKET_DEMO_FILE || '../../.docket/demo.json'));

export const url = __ENV.DOCKET_URL || demo.url;
export const tenants = demo.tenants;

// 5xx and broken connections, by objective; refusals (4xx) are answers.
export const serverErrors = new Rate('server_errors');
// Answers that say "not now": 429 and 503.
export const refused = new Counter('refused_not_now');
// Answers that should never come, whatever the load: the name of the check says which.
export const wrong = new Counter('wrong_answers');

// A write must be repeatable by whoever sent it, so keys are unique over runs, virtual users and iterations.
const run = `${Date.now().toString(36)}${Math.floor(Math.random() * 36 ** 6).toString(36)}`;
let sequence = 0;
export function uniqueKey() {
  sequence += 1;
  return `k6-${run}-${exec.vu.idInTest}-${sequence}`;
}

export function key(tenant, role) {
  return tenants[tenant].keys[role];
}

function send(method, path, body, { tenant = 0, role = 'reporter', slo, name, headers = {}, tags = {} }) {
  const parameters = {
    headers: { Authorization: `Bearer ${key(tenant, role)}`, 'Content-Type': 'application/json', ...headers },
    // `name` keeps ids out of the report: one row a route.
    tags: { slo, name: name || `${method} ${path}`, tenant: tenants[tenant].name, ...tags },
    timeout: '30s',
  };
  const answer = http.request(method, `${url}${path}`, body === null ? null : JSON.stringify(body), parameters);
  serverErrors.add(answer.status === 0 || answer.status >= 500, { slo, ...tags });
  if (answer.status === 429 || answer.status === 503) {
    refused.add(1, { slo });
  }
  // Overload is no excuse for a fault: 503 says "not now", 500 says that something broke.
  must(answer.status !== 500, `${method} ${name || path} is not answered with 500`);
  return answer;
}

export function read(path, options = {}) {
  return send('GET', path, null, { slo: 'reads', ...options });
}

export function search(query, options = {}) {
  return send('GET', `/v1/cases?${query}`, null, { slo: 'search', name: 'GET /v1/cases', ...options });
}

export function write(path, body, options = {}) {
  const headers = { 'Idempotency-Key': options.idempotencyKey || uniqueKey(), ...(options.headers || {}) };
  return send('POST', path, body, { slo: 'writes', ...options, headers });
}

// A question, answered by a stream of events.
export function question(text, options = {}) {
  const headers = { Accept: 'text/event-stream', ...(options.headers || {}) };
  return write('/v1/answers', { question: text }, { role: 'caseworker', slo: 'answers', name: 'POST /v1/answers', ...options, headers });
}

// A search for passages; it changes nothing, so it has no idempotency key.
export function passages(query, order = {}, options = {}) {
  return send('POST', '/v1/search', { query, ...order }, { role: 'caseworker', slo: 'passages', name: 'POST /v1/search', ...options });
}

const WORDS = ['buoy', 'pilot', 'crane', 'signal', 'brake', 'cargo', 'engine', 'ladder', 'radio', 'valve'];
export function word() {
  return WORDS[Math.floor(Math.random() * WORDS.length)];
}

export function newCase(extra = {}) {
  return {
    title: `${word()} out of order, load test ${run}`,
    narrative: `The ${word()} failed twice in a week; the ${word()} beside it was found worn.`,
    respondent: 'Load Test Shipping',
    case_type: 'inspection',
    severity: 'medium',
    ...extra,
  };
}

// Creates a case and hands it in; gives back its id, or null when docket said "not now".
export function createAndSubmit(options = {}) {
  const created = write('/v1/cases', newCase(), { name: 'POST /v1/cases', ...options });
  if (created.status !== 201) {
    return null;
  }
  const id = created.json('id');
  write(`/v1/cases/${id}/transitions`, { command: 'submit' }, {
    name: 'POST /v1/cases/{id}/transitions',
    ...options,
    headers: { 'If-Match': created.headers.Etag },
  });
  return id;
}

// A check that counts what must never happen, so that a threshold can stand on it.
export function must(truth, what) {
  wrong.add(truth ? 0 : 1, { what });
  if (!truth) {
    console.error(`wrong answer: ${what}`);
  }
  return truth;
}
