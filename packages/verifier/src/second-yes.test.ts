import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { describe, it } from 'node:test';
import { createSoftwarePasskey } from '../../sdk/src/software-passkey.ts';
import { canonicalJson, countSecondYeses, createSecondYesReader, digestOf, secondYesIn } from './index.ts';

const ORIGIN = 'https://gate.example';
const [ASKS, AGREES] = ['person:ann@example.test', 'bob@example.test'];
const TIME = '2026-01-01T00:00:00.000Z';
const passkey = createSoftwarePasskey();
const { privateJwk } = JSON.parse(passkey.serialise()) as { privateJwk: Record<string, string> };
const jwk = createPublicKey(createPrivateKey({ key: privateJwk, format: 'jwk' })).export({ format: 'jwk' });
const publicKey: Record<string, string> = { ...(jwk as Record<string, string>), alg: 'ES256' };
const statement = {
  ...{ act: 'lease.drop', id: 'lse_1', provider: 'orders', name: 'gh_1', agent: 'agent-a', task: 'tsk_1' },
  ...{ environment: 'prod', remainsUntil: null, reason: 'gone', askedBy: ASKS, askedAt: TIME },
};

function evidenceOf(of: object = statement, nonce = 'bm9uY2U') {
  const challenge = createHash('sha256')
    .update(canonicalJson({ v: 1, secondYes: of, nonce }))
    .digest('base64url');
  const { response, id } = passkey.assert({ challenge, rpId: 'gate.example' }, ORIGIN);
  const { clientDataJSON, authenticatorData, signature } = response;
  return {
    ...{ v: 1, statement: of, nonce, person: AGREES, passkey: id, publicKey, rpId: 'gate.example', origin: ORIGIN },
    response: { id, clientDataJSON, authenticatorData, signature },
  };
}
const bytes = (record: object) => new TextEncoder().encode(canonicalJson(record));
const recordOf = (evidence: object | string, more: object = {}) =>
  bytes({
    ...{ kind: 'change', operation: 'lease.drop', time: TIME, actor_chain: [{ sub: `person:${AGREES}` }] },
    changes: [
      'lease lse_1 of orders is GIVEN UP, asked for by person:ann@example.test',
      typeof evidence === 'string' ? evidence : `second yes ${canonicalJson(evidence)}`,
    ],
    ...more,
  });
const enrolment = (person = AGREES, key: object = publicKey) =>
  bytes({
    ...{ kind: 'change', operation: 'passkey.enrol', time: TIME, actor_chain: [{ sub: `person:${person}` }] },
    changes: [`key ${digestOf(key)}`],
  });

/** @proves second-yes.offline */
describe('a second person’s yes in a record', () => {
  const good = evidenceOf();
  const problem = async (entry: Uint8Array) => {
    const report = await secondYesIn(entry);
    return report === null ? 'none' : report.ok ? null : report.detail;
  };

  it('verifies with nothing but the record', async () => {
    const report = await secondYesIn(recordOf(good));
    assert.equal(report?.ok && report.said.person, AGREES);
    assert.equal(report?.ok && report.said.key, digestOf(publicKey));
    const takenUp = evidenceOf({ ...statement, askedBy: 'operator' });
    assert.equal(await problem(recordOf(takenUp, { operation: 'lease.take-up-drop' })), null);
  });

  it('does not with anything in it changed', async () => {
    for (const name of Object.keys(statement)) {
      const changed = { ...statement, [name]: name === 'act' ? 'hold.end' : 'another' };
      assert.notEqual(await problem(recordOf({ ...good, statement: changed })), null, name);
    }
    for (const [name, value] of Object.entries({
      ...{ nonce: 'AAAA', person: 'eve@example.test', rpId: 'evil.example', origin: 'https://evil.example' },
      publicKey: { ...publicKey, x: publicKey.y },
      response: evidenceOf({ ...statement, reason: 'other' }).response,
    }))
      assert.notEqual(await problem(recordOf({ ...good, [name]: value })), null, name);
    for (const [why, more] of Object.entries({
      'of somebody else': { actor_chain: [{ sub: 'person:eve@example.test' }] },
      'of nobody': { actor_chain: [] },
      'of another act': { operation: 'hold.end' },
      'of its question': { operation: 'lease.take-up-drop' },
      'about something else': { changes: ['lease lse_2 is GIVEN UP', `second yes ${canonicalJson(good)}`] },
    }))
      assert.notEqual(await problem(recordOf(good, more)), null, why);
    const named = evidenceOf({ ...statement, reason: 'as of lse_1 they say' });
    const other = { changes: ['lease lse_2 is GIVEN UP', `second yes ${canonicalJson(named)}`] };
    assert.match((await problem(recordOf(named, other))) ?? '', /about something else/);
    const own = evidenceOf({ ...statement, askedBy: `person:${AGREES}` });
    assert.match((await problem(recordOf(own))) ?? '', /whoever asked has agreed/);
    for (const line of ['second yes {', 'second yes {}', 'second yes {"statement":null}', `second yes {"v":1, "v":1}`])
      assert.notEqual(await problem(recordOf(line)), null, line);
    assert.equal(await problem(recordOf('nothing')), 'none');
    // What people write into other records is nobody's yes.
    assert.equal(await problem(recordOf(good, { operation: 'person.sign-in' })), 'none');
  });

  it('is counted over whole logs, with whose key it is', async () => {
    const count = (isWhole: boolean, ...logs: Uint8Array[][]) =>
      countSecondYeses(
        logs.map((entries) => {
          const reader = createSecondYesReader();
          for (const entry of entries) reader.note(entry);
          return reader;
        }),
        { isWhole },
      );
    const [yes, before] = [recordOf(good), recordOf('before passkeys signed')];
    const none = { proven: 0, elsewhere: 0, unsigned: 0, faults: [] };
    assert.deepEqual(await count(true, [enrolment(), yes], [before]), { ...none, proven: 1, unsigned: 1 });
    assert.deepEqual(await count(true, [yes], [enrolment()]), { ...none, proven: 1 });
    assert.deepEqual(await count(true, [enrolment(), before, yes]), { ...none, proven: 1, unsigned: 1 });
    const after = await count(true, [enrolment(), before, yes, before]);
    assert.deepEqual(
      [after.proven, after.unsigned, after.faults.length],
      [1, 1, 1],
      'one that came after is none of before',
    );
    assert.match(after.faults.join(), /^lease\.drop at .*: no passkey has signed it/);
    assert.deepEqual(await count(false, [yes]), { ...none, elsewhere: 1 });
    for (const other of [enrolment('eve@example.test'), enrolment(AGREES, { kty: 'EC' })])
      assert.match((await count(true, [other, yes])).faults.join(), /no record says that the passkey is bob@/);
    assert.equal((await count(false, [recordOf({ ...good, nonce: 'AAAA' })])).faults.length, 1);
    assert.deepEqual(await count(true, [new Uint8Array(), new Uint8Array([0xff, 0x7b])]), none);
  });
});
