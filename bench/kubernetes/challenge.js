// The load of the Kubernetes Performance Challenge: each iteration creates six custom resources of six
// kinds and reads each back by a label that only it has.
//
// URL, TOKEN      the API server and who asks it
// SECONDS, USERS  how long, and how many iterations at a time
// AT_ONCE         "true": the six requests of a step together, else one after the other
// RUN             a name that no other run has: names of objects begin with it
// SUMMARY         the file for the results
import http from 'k6/http';
import exec from 'k6/execution';
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const kinds = ['Anchor', 'Beacon', 'Compass', 'Dinghy', 'Ensign', 'Fender'];
const seconds = Number(__ENV.SECONDS);
const windows = []; // of a second
const refused = new Counter('refused'); // by API Priority and Fairness
for (let i = 0; i < seconds; i++) {
  windows.push(new Trend(`window_${i}`, true));
}

export const options = {
  scenarios: {
    challenge: { executor: 'constant-vus', vus: Number(__ENV.USERS), duration: `${seconds}s`, gracefulStop: '30s' },
  },
  batch: kinds.length,
  batchPerHost: kinds.length,
  insecureSkipTLSVerify: true, // the authority is made for each run
  summaryTrendStats: ['avg', 'med', 'p(90)', 'p(95)', 'p(99)', 'max', 'count'],
};

const headers = { Authorization: `Bearer ${__ENV.TOKEN}`, 'Content-Type': 'application/json' };
const text = 'lorem ipsum '.repeat(50);

function path(kind) {
  return `${__ENV.URL}/apis/challenge.test/v1/namespaces/default/${kind.toLowerCase()}s`;
}

export default function () {
  const names = kinds.map((kind) => `${__ENV.RUN}-${kind.toLowerCase()}-${exec.vu.idInTest}-${exec.vu.iterationInScenario}`);
  const creates = kinds.map((kind, i) => ({
    method: 'POST',
    url: path(kind),
    body: JSON.stringify({
      apiVersion: 'challenge.test/v1', kind,
      metadata: { name: names[i], labels: { name: names[i], app: 'challenge' } },
      spec: { color: names[i], text },
    }),
    params: { headers, tags: { name: 'create' } },
  }));
  const lists = kinds.map((kind, i) => ({
    method: 'GET',
    url: `${path(kind)}?labelSelector=name%3D${names[i]}`,
    body: null,
    params: { headers, tags: { name: 'list' } },
  }));
  send(creates, (response) => response.status === 201);
  send(lists, (response, i) => response.status === 200 && response.json('items.#') === 1 &&
    response.json('items.0.metadata.name') === names[i]);
}

function send(requests, good) {
  const answers = __ENV.AT_ONCE === 'true' ? http.batch(requests) : requests.map((request) => one(request));
  answers.forEach((answer, i) => check(answer, { answered: (response) => good(response, i) }));
  answers.forEach((answer) => {
    if (answer.status === 429) {
      refused.add(1);
    }
    const window = Math.floor((Date.now() - exec.scenario.startTime) / 1000);
    windows[Math.min(window, windows.length - 1)].add(answer.timings.duration);
  });
}

function one(request) {
  return http.request(request.method, request.url, request.body, request.params);
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data.metrics) };
}
