// The written report of a run: REPORT_DIR/NAME.md with every threshold and the times by route, and a summary on the terminal.
// Charts over time are k6's own page, NAME.html, which loadtest/run.sh asks for.
export function report(name, says) {
  return (data) => {
    const text = markdown(name, says, data);
    const out = { stdout: `\n${text}\n` };
    if (__ENV.REPORT_DIR) {
      out[`${__ENV.REPORT_DIR}/${name}.md`] = text;
    }
    return out;
  };
}

function markdown(name, says, data) {
  const lines = [`# Load test: ${name}`, '', says, ''];
  const seconds = data.state.testRunDurationMs / 1000;
  const requests = data.metrics.http_reqs ? data.metrics.http_reqs.values.count : 0;
  const notNow = data.metrics.refused_not_now ? data.metrics.refused_not_now.values.count : 0;
  lines.push(`${requests} requests in ${seconds.toFixed(1)} s, ${(requests / seconds).toFixed(1)} a second; ` +
    `${notNow} answered "not now" (429 or 503).`, '');
  lines.push('| threshold | measured | kept |', '|---|---|---|');
  for (const [metric, { values, thresholds }] of Object.entries(data.metrics)) {
    for (const [rule, verdict] of Object.entries(thresholds || {})) {
      lines.push(`| \`${metric}: ${rule}\` | ${measured(rule, values)} | ${verdict.ok ? 'yes' : '**NO**'} |`);
    }
  }
  lines.push('', '| objective | median | p90 | p99 | longest | |', '|---|---|---|---|---|---|');
  for (const [metric, { values }] of Object.entries(data.metrics)) {
    // The times that have an objective, and those that a scenario keeps itself.
    const slo = metric.match(/^http_req_waiting\{slo:(\w+)\}$/) || metric.match(/^(time_to_\w+)$/);
    if (slo) {
      const bar = '█'.repeat(Math.min(40, Math.max(1, Math.round(values['p(99)'] / 5))));
      const row = [values.med, values['p(90)'], values['p(99)'], values.max].map((ms) => `${ms.toFixed(1)} ms`);
      lines.push(`| ${slo[1]} | ${row.join(' | ')} | ${bar} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function measured(rule, values) {
  const name = rule.match(/^(p\([\d.]+\)|\w+)/)[1];
  const value = values[name];
  return value === undefined ? '' : String(Math.round(value * 1e4) / 1e4);
}

// What a report needs to know of each time.
export const summaryTrendStats = ['avg', 'min', 'med', 'max', 'p(90)', 'p(95)', 'p(99)'];
