// Answers: questions asked of the demonstration documents as streams of events, and searches for passages. Proves that each stream has
// all its stages in order, that what is cited was said and stands somewhere, that use is counted, that an answer can be read again
// equal to the byte, and that the objectives of questions, of passages and of the first token hold. VUS, DURATION.
//
// k6 hands a body over as a whole, so the time of the first token is the one that the stream itself states (`stages`), which is the
// one that the objective watches; it is checked not to be longer than the whole stream took.
import { sleep } from 'k6';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';
import { must, passages, question, read, uniqueKey } from './lib/docket.js';
import { FIRST_TOKEN, objectives } from './lib/objectives.js';
import { report, summaryTrendStats } from './lib/report.js';
import { events } from './lib/sse.js';

const duration = __ENV.DURATION || '30s';

export const options = {
  scenarios: {
    questions: { executor: 'constant-vus', exec: 'ask', vus: Number(__ENV.VUS || 2), duration, gracefulStop: '60s' },
    passages: { executor: 'constant-arrival-rate', exec: 'find', rate: 2, timeUnit: '1s', duration, preAllocatedVUs: 4, maxVUs: 20 },
  },
  // A run in which no answer was streamed or none cited anything has proved nothing.
  thresholds: {
    ...objectives('answers', 'first', 'passages'),
    answers_streamed: ['count>0'],
    answers_supported: ['count>0'],
    answers_not_found: ['count>0'],
  },
  setupTimeout: '10m',
  summaryTrendStats,
};

const firstToken = new Trend(FIRST_TOKEN, true);
const wholeStream = new Trend('time_to_whole_answer', true);
const streamed = new Counter('answers_streamed');
const supported = new Counter('answers_supported');
const notFound = new Counter('answers_not_found');

// Of the demonstration's gold set: what the documents say, and what they do not.
const ANSWERABLE = [
  'For how many years must the log of berth inspections be kept since the beginning of 2026?',
  'A polyester mooring line is put to work for the first time in August 2026. After how many months must it go?',
  'How often do lifting accessories such as shackles and slings need a thorough examination?',
  'How far ahead must a lorry with hazardous cargo be declared if it boards a ro-ro ferry?',
];
const UNANSWERABLE = ['How many euros is a crown worth?', 'How many people may stand on the Quay Street pier at the same time?'];

// The demonstration reads its documents while it already serves.
export function setup() {
  for (let look = 0; look < 280; look += 1) {
    const answer = read('/v1/documents?limit=100', { role: 'caseworker', slo: 'setup', name: 'GET /v1/documents' });
    const states = answer.status === 200 ? answer.json('items').map(({ status }) => status) : [];
    if (states.length > 0 && states.every((status) => status === 'ready')) {
      return;
    }
    if (states.includes('failed')) {
      exec.test.abort('a document of the demonstration could not be read');
    }
    sleep(2);
  }
  exec.test.abort('the documents of the demonstration are not read');
}

export function ask() {
  const answerable = Math.random() < 0.75;
  const from = answerable ? ANSWERABLE : UNANSWERABLE;
  const asked = from[Math.floor(Math.random() * from.length)];
  const idempotencyKey = uniqueKey();
  const reply = question(asked, { idempotencyKey });
  if (reply.status === 429 || reply.status === 503 || reply.status === 402) {
    sleep(1);
    return;
  }
  if (!must(reply.status === 200 && /^text\/event-stream/.test(reply.headers['Content-Type']), 'a question is answered by a stream')) {
    return;
  }
  const stream = events(reply.body);
  const names = stream.map(({ name }) => name);
  if (names[names.length - 1] === 'problem') {
    must(stream[stream.length - 1].data.status === 503, 'a stream breaks off only because no model answers');
    return;
  }
  const tokens = stream.filter(({ name }) => name === 'token');
  must(/^retrieved,(model,)(token,)+answer$/.test(names.join(',')), `the stages come in order: ${names}`);
  must(stream[0].data.passages > 0 && stream[0].data.took_ms >= 0, 'the first event says what was found');
  const answer = stream[stream.length - 1].data;
  must(tokens.every(({ data }) => typeof data.text === 'string') && tokens.some(({ data }) => data.text.trim()), 'tokens carry text');
  must(answer.question === asked && answer.answer.length > 0, 'the answer is one to the question');
  must(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0 && answer.usage.cost_nanos >= 0, 'use is counted');
  cited(answer);
  const { first_token_ms: first, total_ms: total } = answer.stages;
  must(first <= total && total <= reply.timings.duration + 1000, 'no stage took longer than the whole');
  firstToken.add(first);
  wholeStream.add(reply.timings.duration);
  streamed.add(1);
  const again = read(`/v1/answers/${answer.id}`, { role: 'caseworker', name: 'GET /v1/answers/{id}' });
  must(again.status === 200 && again.body === stream[stream.length - 1].text, 'the answer can be read again, equal to the byte');
}

function cited(answer) {
  if (answer.verdict === 'not_found') {
    must(answer.citations.length === 0, 'what is not found cites nothing');
    notFound.add(1);
    return;
  }
  const numbers = answer.citations.map(({ number }) => number);
  must(answer.citations.length > 0, `what is ${answer.verdict} cites something`);
  for (const citation of answer.citations) {
    const { quote, char_start: start, char_end: end } = citation;
    must(citation.document_id && citation.chunk_id && quote.length > 0 && [...quote].length <= end - start, 'a citation has its place');
  }
  for (const sentence of answer.sentences) {
    must(!sentence.supported || sentence.citations.length > 0, 'a supported sentence has a citation');
    must(sentence.citations.every((number) => numbers.includes(number)), 'a sentence cites what is listed');
  }
  if (answer.verdict === 'supported') {
    supported.add(1);
  }
}

export function find() {
  const found = passages(ANSWERABLE[Math.floor(Math.random() * ANSWERABLE.length)], { limit: 5 });
  if (found.status !== 429 && found.status !== 503) {
    must(found.status === 200 && found.json('hits').length > 0, 'passages are found');
  }
}

export const handleSummary = report('answers', 'Questions answered by streams, and searches for passages.');
