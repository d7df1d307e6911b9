// Search: filters, full text, sorting, and whole lists read page by page. Proves that pages neither overlap nor miss a case
// while others are written, and that the objective of search holds without any other load.
import { createAndSubmit, must, search, word } from './lib/docket.js';
import { objectives } from './lib/objectives.js';
import { report, summaryTrendStats } from './lib/report.js';

export const options = {
  scenarios: {
    queries: { executor: 'constant-vus', exec: 'queries', vus: 4, duration: __ENV.DURATION || '30s' },
    pages: { executor: 'constant-vus', exec: 'pages', vus: 2, duration: __ENV.DURATION || '30s' },
    writers: { executor: 'constant-arrival-rate', exec: 'writers', rate: 5, timeUnit: '1s', duration: __ENV.DURATION || '30s', preAllocatedVUs: 5 },
  },
  thresholds: objectives('search', 'writes'),
  summaryTrendStats,
};

const QUERIES = [
  () => `q=${word()}`,
  () => `q=${word()}&severity=high`,
  () => 'state=escalated&sort=-opened_at',
  () => 'severity=critical&limit=50',
  () => `q=${word()}&count=true&limit=5`,
];

export function queries() {
  const query = QUERIES[Math.floor(Math.random() * QUERIES.length)]();
  must([200, 429, 503].includes(search(query, { role: 'auditor' }).status), `answered: ${query}`);
}

// Sorted by the time they were opened, oldest first: what is written meanwhile comes at the end.
export function pages() {
  const seen = new Set();
  let cursor = '';
  for (let page = 0; page < 10; page += 1) {
    const answer = search(`sort=opened_at&limit=25${cursor && `&cursor=${cursor}`}`, { role: 'auditor' });
    if (!must([200, 429, 503].includes(answer.status), 'a page is answered') || answer.status !== 200) {
      return;
    }
    for (const { id } of answer.json('items')) {
      must(!seen.has(id), 'no case stands on two pages');
      seen.add(id);
    }
    cursor = answer.json('next');
    if (!cursor) {
      return;
    }
  }
}

export function writers() {
  createAndSubmit();
}

export const handleSummary = report('search', 'Filters, full text and paging while others write.');
