import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { federationLimits } from './limits.ts';
import { createTurns, sourceOf } from './turns.ts';

const { stsCalls, stsWaiting, stsWaitingPerSource } = federationLimits;
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Calls that end when they are told to. */
function calls() {
  const take = createTurns();
  const started: { source: string; end(): void }[] = [];
  const send = (source: string) =>
    take(source, () => new Promise<void>((end) => started.push({ source, end }))).then(
      () => 'done',
      (error: { kind: string; code: string }) => `${error.kind} ${error.code}`,
    );
  return { started, send };
}

/** @proves federation.sts-turns */
describe('turns at STS', () => {
  test('run a few at once; a source has no more than its share of what waits, and waits behind no more than one of each other', async () => {
    const { started, send } = calls();
    const noise = Array.from({ length: stsCalls + stsWaitingPerSource + 3 }, () => send('noise'));
    await settled();
    assert.equal(started.length, stsCalls);
    for (const late of noise.slice(-3)) assert.equal(await late, 'unavailable aws.busy');
    const real = send('real');
    started[0]?.end();
    await settled();
    started[1]?.end();
    await settled();
    assert.ok(started.slice(stsCalls, stsCalls + 2).some(({ source }) => source === 'real'));
    while (started.length < stsCalls + stsWaitingPerSource + 1) {
      for (const { end } of started) end();
      await settled();
    }
    for (const { end } of started) end();
    assert.equal(await real, 'done');
    for (const each of noise.slice(0, -3)) assert.equal(await each, 'done');
    const again = send('noise');
    await settled();
    started.at(-1)?.end();
    assert.equal(await again, 'done', 'places are given back');
  });

  test('are refused beyond what may wait in all, and a failed call gives its place back', async () => {
    const { started, send } = calls();
    const all = Array.from({ length: stsCalls + stsWaiting }, (_, at) => send(`source ${at}`));
    assert.equal(await send('one more'), 'unavailable aws.busy');
    while (started.length < all.length) {
      for (const { end } of started) end();
      await settled();
    }
    for (const { end } of started) end();
    assert.deepEqual(new Set(await Promise.all(all)), new Set(['done']));

    const take = createTurns();
    for (let at = 0; at <= stsCalls; at++)
      await assert.rejects(
        take('x', () => Promise.reject(new Error('no'))),
        /no/,
      );
    assert.equal(await take('x', async () => 'yes'), 'yes');
  });

  test('take the addresses that one holder has for one source', () => {
    assert.equal(sourceOf('2001:db8:1:2:3:4:5:6'), sourceOf('2001:db8:1:2::9'));
    assert.notEqual(sourceOf('2001:db8:1:2::9'), sourceOf('2001:db8:1:3::9'));
    assert.equal(sourceOf('2001:db8::1'), '2001:db8:0:0');
    for (const address of ['192.0.2.7', '::ffff:192.0.2.7']) assert.equal(sourceOf(address), address);
  });
});
