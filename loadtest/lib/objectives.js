// Thresholds made from deploy/slo.json, the file that the alerts are made from: a load test cannot promise less than they do.
const stated = JSON.parse(open('../../deploy/slo.json')).objectives;

// Where a scenario keeps what streams say about their first token.
export const FIRST_TOKEN = 'time_to_first_token';

// The objectives of writes, reads, search, passages, answers or first (token): the first word of their names. The time is that to
// the head of the answer, as docket measures it.
export function objectives(...names) {
  const thresholds = { wrong_answers: ['count==0'] };
  for (const { name, objective, kind, threshold_seconds: seconds } of stated) {
    const slo = name.split('-')[0];
    if (!names.includes(slo)) {
      continue;
    }
    if (kind === 'availability') {
      thresholds[`server_errors{slo:${slo}}`] = [`rate<=${round(1 - objective)}`];
    } else if (kind === 'first-token') {
      thresholds[FIRST_TOKEN] = [`p(${round(objective * 100)})<=${seconds * 1000}`];
    } else if (kind === 'latency') {
      thresholds[`http_req_waiting{slo:${slo}}`] = [`p(${round(objective * 100)})<=${seconds * 1000}`];
    }
  }
  return thresholds;
}

function round(number) {
  return Math.round(number * 1e6) / 1e6;
}
