import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressOf } from './client.ts';
import { explain, problemOf } from './problem.ts';

test('a name can’t lead a request to another route', () => {
  assert.equal(addressOf('/agents/:name/kill', { name: 'agent-a' }), '/api/v1/agents/agent-a/kill');
  const hostile = addressOf('/agents/:name/kill', { name: '../../signout?x=#' });
  assert.equal(new URL(hostile, 'https://here').pathname, '/api/v1/agents/..%2F..%2Fsignout%3Fx%3D%23/kill');
  for (const name of ['', '.', '..']) assert.throws(() => addressOf('/agents/:name', { name }), TypeError);
});

test('a filter that is not set is not sent', () => {
  assert.equal(
    addressOf('/actions', {}, { agent: 'a&b', tool: undefined, limit: 50, cursor: '' }),
    '/api/v1/actions?agent=a%26b&limit=50',
  );
});

test('a refusal says what the server says to do next', async () => {
  const body = {
    type: 'urn:gatehouse:error:approval.expired',
    title: 'approval.expired',
    status: 410,
    detail: 'Ask again.',
  };
  const error = await problemOf(new Response(JSON.stringify(body), { status: 410 }));
  assert.deepEqual(explain(error), { title: 'Too late', detail: 'Ask again.', code: 'approval.expired' });
});

test('an answer of something in between that is no problem document still becomes a message', async () => {
  const error = await problemOf(new Response('<html>Bad Gateway</html>', { status: 502, statusText: 'Bad Gateway' }));
  assert.match(explain(error).detail, /502 Bad Gateway/);
  assert.equal(error.code, 'http.502');
});
