import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { authorizationLimits } from './limits.ts';
import { createPollPace, createUnfinishedRequests } from './unfinished-requests.ts';

/** @proves oauth.unfinished-bound */
describe('requests that nobody has answered', () => {
  const limits = { ...authorizationLimits, requestsPerClient: 3, requestsInAll: 5 };
  let now = 0;
  const open = () => createUnfinishedRequests({ now: () => now }, limits);
  const fill = (requests: ReturnType<typeof open>, client: string, count: number) =>
    Array.from({ length: count }, (_, index) => requests.add(client, `${client}-${index}`, 600)).flat();

  test('of one client the oldest go when there are too many, and nobody else notices', () => {
    const requests = open();
    requests.add('b', 'b-0', 600);
    assert.deepEqual(fill(requests, 'a', 5), ['a-0', 'a-1']);
    assert.deepEqual(requests.add('b', 'b-1', 600), []);
  });

  test('of all clients the oldest go of the client that has most', () => {
    const requests = open();
    fill(requests, 'small', 1);
    fill(requests, 'flood', 3);
    fill(requests, 'another', 1);
    assert.deepEqual(requests.add('new', 'new-0', 600), ['flood-0']);
  });

  test('those that were answered or have expired make room', () => {
    now = 0;
    const requests = open();
    fill(requests, 'a', 3);
    requests.remove('a-0');
    requests.remove('unknown');
    assert.deepEqual(requests.add('a', 'a-3', 600), []);
    assert.deepEqual(requests.add('a', 'a-3', 600), [], 'kept again, it counts once');
    now = 600;
    assert.deepEqual(requests.add('a', 'a-4', 1_200), []);
    assert.deepEqual(requests.add('a', 'a-5', 1_200), []);
  });
});

/** @proves rfc8628.slow-down */
test('who polls too soon has to wait longer each time; who keeps the interval never has to', () => {
  let now = 1_000_000;
  const pollsTooSoon = createPollPace({ now: () => now });
  const after = (seconds: number) => {
    now += seconds * 1000;
    return pollsTooSoon('code');
  };
  assert.equal(after(0), false, 'the first');
  for (let count = 0; count < 20; count++) assert.equal(after(4.9), false, 'the network is not exact');
  assert.equal(after(1), true);
  assert.equal(after(5), true, 'the interval is 10 seconds by now');
  assert.equal(after(15), false);
  assert.equal(pollsTooSoon('another code'), false);
});
