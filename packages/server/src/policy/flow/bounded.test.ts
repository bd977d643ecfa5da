import assert from 'node:assert/strict';
import { test } from 'node:test';
import { amountsIn } from './canonical.ts';
import { newEffort } from './effort.ts';
import { flowLimits } from './limits.ts';
import { originOfArgument } from './origin.ts';
import { createSeen } from './seen.ts';
import { holdsValue, urlsIn } from './statement.ts';

const MILLION = 1_000_000;

function knownAfter(read: string) {
  const seen = createSeen();
  const part = { value: read, isTrusted: false, role: null, sensitive: [], isField: false, record: 0 };
  if (read !== '') seen.note([part], { tool: 'mail/read', actionId: 'act_1' });
  return { told: { texts: [], values: [] }, seen: [seen], endorsed: () => false };
}
const words = 'lorem ipsum '.repeat(80_000);

/** What somebody sends to stall the gate. Each takes minutes or hours where time grows with the square of the length. */
const attacks: Record<string, () => unknown> = {
  'digits that end in a letter': () => assert.deepEqual([...amountsIn(`${'1'.repeat(MILLION)}x`)], []),
  'a URL of full stops': () => assert.equal(urlsIn(`http://${'.'.repeat(MILLION)}a`).length, 1),
  'a word of full stops in a text': () =>
    assert.equal(holdsValue(`${'.'.repeat(MILLION)}a`, 'https://a.example', 'url'), false),
  'a value that repeats itself, as what was read does': () => {
    const known = knownAfter('a'.repeat(MILLION));
    const value = `${'a'.repeat(2_000)}b${'a'.repeat(2_000)}`;
    assert.equal(originOfArgument('to', value, 'recipient', known)?.provenance, 'unknown');
    assert.equal(originOfArgument('to', `${'a'.repeat(4_000)}b`, 'name', known)?.provenance, 'unknown');
  },
  'signs that repeat themselves': () => {
    const known = knownAfter('-'.repeat(MILLION));
    const value = `${'-'.repeat(2_000)}b${'-'.repeat(2_000)}`;
    assert.equal(originOfArgument('to', value, 'recipient', known)?.provenance, 'unknown');
  },
  'as many long values as a call may have': () => {
    const values = Array.from({ length: flowLimits.valuesPerCall }, (_, at) => `${'lorem ipsum'.repeat(300)} ${at}q`);
    assert.equal(originOfArgument('to', values, 'recipient', knownAfter(words))?.provenance, 'untrusted');
  },
  'a text of addresses': () => {
    const body = Array.from({ length: 50_000 }, (_, at) => `u${at}@h${at}.example`).join(' ');
    for (const text of [body, body.slice(0, flowLimits.contentChars)]) {
      assert.equal(originOfArgument('body', text, 'content', knownAfter(words))?.provenance, 'untrusted');
      assert.equal(originOfArgument('body', text, 'content', knownAfter(''))?.provenance, 'unknown');
    }
  },
};

/** @proves law-10.flow-bounded */
for (const [name, attack] of Object.entries(attacks)) test(`the gate is not stalled by ${name}`, () => void attack());

/** @proves law-10.flow-bounded */
test('whatever a call holds, what was read is gone through for it only so often; what was not found by then counts as found', () => {
  const seen = createSeen();
  for (let at = 0; at < 20; at++) {
    const part = { value: `${words.slice(0, 30_000)} ${at}`, isTrusted: at % 2 === 1, role: null, sensitive: [] };
    seen.note([{ ...part, isField: false, record: 0 }], { tool: 'mail/read', actionId: `act_${at}` });
  }
  const known = { told: { texts: [], values: [] }, seen: [seen], endorsed: () => false };
  const encoded = Array.from({ length: 300 }, (_, at) => Buffer.from(`secret ${at}`).toString('base64')).join(' ');
  const effort = newEffort();
  const values = Array.from({ length: flowLimits.valuesPerCall }, (_, at) => `${encoded.slice(0, 4_000)}${at}`);
  const origins = ['to', 'cc', 'bcc'].map((name) => originOfArgument(name, values, 'name', known, effort));
  assert.ok(effort.left < 0, 'it was used up');
  assert.ok(effort.left > -10 * 40_000, `${-effort.left} characters too many`);
  assert.deepEqual(
    origins.map((origin) => origin?.provenance),
    ['untrusted', 'untrusted', 'untrusted'],
  );
});
