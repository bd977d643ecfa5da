import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApprovalPending, GatehouseRefusal } from './errors.ts';
import { waitForApproval } from './wait-for-approval.ts';

const waits = (id: string) => ({
  isError: true,
  content: [{ type: 'text', text: 'Waiting for approval' }],
  _meta: { 'gatehouse/approval': { id, url: `http://x/approvals/${id}`, retryAfterSeconds: 0.001 } },
});
const refused = { isError: true, _meta: { 'gatehouse/decision': { code: 'approval.denied' } } };
const done = { content: [{ type: 'text', text: 'paid' }] };

/** What a server says, one after the other. */
function serving(...answers: object[]) {
  let made = 0;
  return { call: async () => answers[made++] as typeof done, made: () => made };
}

test('a call is made until nobody is waited for, and its caller is shown where it waits', async () => {
  const server = serving(waits('apr_1'), waits('apr_1'), done);
  const shown: string[] = [];
  const result = await waitForApproval(server.call, { onWaiting: ({ url }) => shown.push(url) });
  assert.equal(result, done);
  assert.deepEqual(shown, ['http://x/approvals/apr_1', 'http://x/approvals/apr_1']);
});

test('a no ends it, and so does another question', async () => {
  await assert.rejects(waitForApproval(serving(waits('apr_1'), refused, done).call), GatehouseRefusal);
  const server = serving(waits('apr_1'), waits('apr_2'), done);
  await assert.rejects(waitForApproval(server.call), (error) => {
    return error instanceof ApprovalPending && error.approval === 'apr_2';
  });
  assert.equal(server.made(), 2);
});

test('whoever waits can stop at any time, and an error of the call itself is passed on', async () => {
  const abort = new AbortController();
  const long = { ...waits('apr_1')._meta['gatehouse/approval'], retryAfterSeconds: 3_600 };
  const server = serving({ ...waits('apr_1'), _meta: { 'gatehouse/approval': long } });
  const reason = new Error('enough');
  const waiting = waitForApproval(server.call, { signal: abort.signal, onWaiting: () => abort.abort(reason) });
  await assert.rejects(waiting, (error) => error === reason);
  assert.equal(server.made(), 1);
  const broken = new Error('the connection is gone');
  await assert.rejects(
    waitForApproval(() => Promise.reject(broken)),
    (error) => error === broken,
  );
});
