// Thresholds made from deploy/slo.json, the file that the alerts are made from: a load test cannot promise less than they do.
const stated = JSON.parse(open('../../deploy/slo.json')).objectives;

// The objectives of writes, reads or search. The time is that to the head of the answer, as docket measures it.
export function objectives(...names) {
  const thresholds = { wrong_answers: ['count==0'] };
  for (const { name, objective, kind, threshold_seconds: seconds } of stated) {
    const slo = name.split('-')[0];
    if (!names.includes(slo)) {
      continue;
    }
    if (kind === 'availability') {
      thresholds[`server_errors{slo:${slo}}`] = [`rate<=${round(1 - objective)}`];
    } else {
      thresholds[`http_req_waiting{slo:${slo}}`] = [`p(${round(objective * 100)})<=${seconds * 1000}`];
    }
  }
  return thresholds;
}

function round(number) {
  return Math.round(number * 1e6) / 1e6;
}
