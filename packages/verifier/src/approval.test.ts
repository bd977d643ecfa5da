import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createSoftwarePasskey } from '../../sdk/src/software-passkey.ts';
import { checkpointOf, newSigner, proofFileOf, type Signer } from '../test/support.ts';
import {
  type ApprovalProof,
  canonicalJson,
  listChallenge,
  type ProvenRecord,
  parseReceiptFile,
  verifyApproval,
  verifyReceiptFile,
  type YesEvidence,
  yesChallenge,
} from './index.ts';

const ORIGIN = 'https://gate.example';
const PERSON = 'approver@example.test';
const SALT = Buffer.alloc(16, 7);
const digestOf = (value: unknown) => `sha256-${createHash('sha256').update(canonicalJson(value)).digest('hex')}`;
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

const subject = {
  v: 1,
  agent: 'agent-a',
  agentEpoch: 1,
  task: 'tsk_1',
  operation: 'tools/call',
  tool: 'shop/refund_order',
  toolDefinition: 'sha256-aa',
  arguments: { order: 1042, amount_cents: 4000, note: '“€” ok' },
  policyVersion: 'sha256-bb',
};

interface Key {
  publicKey: Record<string, string>;
  signed(challenge: Uint8Array, change?: { origin?: string; flags?: number }): YesEvidence['response'];
}

/** A passkey of software, of each kind that may be enrolled. */
function passkey(kind: 'ES256' | 'EdDSA' | 'RS256'): Key {
  const pair =
    kind === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : kind === 'EdDSA'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = createPublicKey(pair.privateKey as KeyObject).export({ format: 'jwk' }) as Record<string, string>;
  return {
    publicKey: { ...jwk, alg: kind },
    signed(challenge, { origin = ORIGIN, flags = 5 } = {}) {
      const client = Buffer.from(JSON.stringify({ type: 'webauthn.get', challenge: text(challenge), origin }));
      const authenticator = Buffer.concat([
        createHash('sha256').update('gate.example').digest(),
        Buffer.from([flags, 0, 0, 0, 1]),
      ]);
      const message = Buffer.concat([authenticator, createHash('sha256').update(client).digest()]);
      const signature = sign(kind === 'EdDSA' ? null : 'sha256', message, pair.privateKey as KeyObject);
      return {
        id: 'cred',
        clientDataJSON: text(client),
        authenticatorData: text(authenticator),
        signature: text(signature),
      };
    },
  };
}

function evidenceBy(key: Key, change: Partial<YesEvidence> = {}, how: Parameters<Key['signed']>[1] = {}): YesEvidence {
  const of = { approval: 'apr_1', digest: digestOf(subject), ...change };
  return {
    v: 1,
    person: PERSON,
    passkey: 'cred',
    publicKey: key.publicKey,
    rpId: 'gate.example',
    origin: ORIGIN,
    response: key.signed(yesChallenge(of), how),
    ...of,
    ...change,
  };
}

const base = { approval: null, agent: null, task: null, tool: null, tool_definition: null, arguments_digest: null };
const change = (operation: string, by: string, changes: string[], more: object = {}) => ({
  ...base,
  kind: 'change',
  operation,
  time: '2026-01-01T00:00:00.000Z',
  actor_chain: [{ sub: `person:${by}`, profile: 'user' }],
  decision: null,
  changes,
  ...more,
});
const dispatchOf = (args: unknown = subject.arguments, more: object = {}) => ({
  ...base,
  kind: 'dispatch',
  operation: subject.operation,
  time: '2026-01-01T00:00:01.000Z',
  actor_chain: [],
  approval: 'apr_1',
  agent: subject.agent,
  task: subject.task,
  tool: subject.tool,
  tool_definition: subject.toolDefinition,
  arguments_digest: `sha256-${createHash('sha256').update(SALT).update(canonicalJson(args)).digest('hex')}`,
  decision: { policyVersion: subject.policyVersion },
  changes: [],
  ...more,
});

interface Parts {
  enrol?: object;
  said?: object;
  dispatch?: object;
  proof?: Partial<ApprovalProof>;
  order?: number[];
  log?: Signer;
  vkey?: string;
}

/** The report over a log that really holds these three records, so that only what they say can be wrong. */
async function verified(evidence: YesEvidence, parts: Parts = {}) {
  const log = parts.log ?? newSigner('log.example');
  const enrol = parts.enrol ?? change('passkey.enrol', PERSON, [`key ${digestOf(evidence.publicKey)}`]);
  const said =
    parts.said ??
    change('approval.approve', PERSON, [`digest ${evidence.digest}`, `assertion ${digestOf(evidence)}`], {
      approval: 'apr_1',
    });
  const records = [enrol, said, parts.dispatch ?? dispatchOf()];
  const order = parts.order ?? [0, 1, 2];
  const entries = order.map((which) => new TextEncoder().encode(canonicalJson(records[which])));
  const checkpoint = checkpointOf(entries, 3, log);
  const proven = async (which: number): Promise<ProvenRecord> => ({
    log: log.key.name,
    entry: canonicalJson(records[which]),
    proof: await proofFileOf(entries, order.indexOf(which), checkpoint),
    vkey: log.vkey,
  });
  const proof: ApprovalProof = {
    approval: 'apr_1',
    subject,
    argumentsSalt: text(SALT),
    yes: [{ evidence, record: await proven(1), enrolment: await proven(0) }],
    ...parts.proof,
  };
  const dispatch = await proven(2);
  const report = await verifyApproval({
    dispatch,
    proof,
    ...(parts.vkey !== undefined && { keys: [parts.vkey] }),
  });
  return { report, dispatch, proof, broken: report.ok ? null : report.link };
}

/** @proves approval.proof-offline */
describe('the proof of a yes', () => {
  const key = passkey('ES256');
  const good = evidenceBy(key);

  it('holds for every kind of passkey, with endorsed values, in a list, and with erased arguments', async () => {
    for (const kind of ['ES256', 'EdDSA', 'RS256'] as const) {
      const { report } = await verified(evidenceBy(passkey(kind)));
      assert.ok(report.ok, JSON.stringify(report));
      assert.deepEqual(
        report.yes.map(({ person }) => person),
        [PERSON],
      );
    }
    const endorse = [{ role: 'destination', value: 'a@b', for: 'mail: send' }];
    assert.equal((await verified(evidenceBy(key, { endorse }))).broken, null);
    assert.equal((await verified(evidenceBy(key, { endorse, grant: { most: 3 } }))).broken, null);
    assert.equal(
      (await verified({ ...evidenceBy(key, { grant: { most: 3 } }), grant: { most: 4 } })).broken,
      'challenge',
    );
    const list = [
      { approval: 'apr_0', digest: digestOf('other') },
      { approval: 'apr_1', digest: digestOf(subject) },
    ];
    const { report } = await verified(evidenceBy(key, { list }));
    assert.equal(report.ok && report.yes[0]?.signedWith, 1);
    const erased = await verified(good, { proof: { subject: null, argumentsSalt: null } });
    assert.equal(erased.report.ok && erased.report.argumentsShown, false);
  });

  /** @proves approval.salted */
  it('binds the arguments by the salted digest of their records, and holds without them once they are erased', async () => {
    const { arguments: args, v: _, ...own } = subject as typeof subject & { v: number };
    const salted = {
      v: 5,
      ...own,
      argumentsDigest: dispatchOf().arguments_digest,
      delegated: null,
      rules: [],
      repeats: null,
    };
    const of = evidenceBy(key, { digest: digestOf(salted) });
    const proof = { subject: salted, arguments: args, argumentsSalt: text(SALT) };
    const shown = await verified(of, { proof });
    assert.equal(shown.report.ok && shown.report.argumentsShown, true, JSON.stringify(shown.report));
    const gone = { subject: salted, arguments: null, argumentsSalt: null };
    const erased = await verified(of, { proof: gone });
    assert.equal(erased.report.ok && erased.report.argumentsShown, false, JSON.stringify(erased.report));
    for (const [change, link] of [
      [{ arguments: { ...args, order: 1 } }, 'arguments'],
      [{ arguments: null }, 'arguments'],
      [{ argumentsSalt: text(Buffer.alloc(16)) }, 'arguments'],
      [{ argumentsSalt: null }, 'arguments'],
      [{ argumentsSalt: text(SALT.subarray(1)) }, 'arguments'],
      [{ subject: { ...salted, arguments: args } }, 'subject'],
      [{ subject: { ...salted, argumentsDigest: digestOf(args) } }, 'subject'],
    ] as const)
      assert.equal((await verified(of, { proof: { ...proof, ...change } })).broken, link, JSON.stringify(change));
    const dispatch = dispatchOf({ ...args, order: 1 });
    assert.equal((await verified(of, { proof, dispatch })).broken, 'arguments');
    assert.equal((await verified(of, { proof: gone, dispatch })).broken, 'arguments', 'also when they are erased');
    const two = { ...salted, rules: [{ name: 'finance', steps: [{ approve: 2 }] }] };
    const ruled = await verified(evidenceBy(key, { digest: digestOf(two) }), { proof: { ...gone, subject: two } });
    assert.equal(ruled.broken, 'rules');
  });

  it('breaks where fewer people are in it than the signed rules ask for', async () => {
    const under = async (rules: object[]) => {
      const ruled = { ...subject, v: 3, rules };
      return (await verified(evidenceBy(key, { digest: digestOf(ruled) }), { proof: { subject: ruled } })).broken;
    };
    const rule = (...approve: number[]) => ({ name: 'finance', steps: approve.map((each) => ({ approve: each })) });
    assert.equal(await under([rule(1), rule(1)]), null);
    assert.equal(await under([rule(1), rule(2)]), 'rules');
    assert.equal(await under([rule(1, 1)]), 'rules', 'nobody counts twice within a rule');
  });

  it('takes the order of two records from the log that is signed, with a key for each log', async () => {
    const [one, two] = [newSigner('log.example'), newSigner('log.example/two')];
    const late = await verified(good, { log: one, order: [0, 2, 1] });
    const here = await verified(good, { log: one });
    const there = await verified(good, { log: two });
    const keys = [one.vkey, two.vkey];
    const under = (log: string, record: ProvenRecord) => ({ ...record, log });
    // A label that makes one log look like two hides no order.
    const [yes] = late.proof.yes;
    assert.ok(yes);
    for (const label of ['log.elsewhere', 'log.example/two']) {
      const relabelled = { ...late.proof, yes: [{ ...yes, record: under(label, yes.record) }] };
      const report = await verifyApproval({ dispatch: late.dispatch, proof: relabelled });
      assert.equal(report.ok ? null : report.link, 'dispatch', label);
      const withKeys = await verifyApproval({ dispatch: late.dispatch, proof: relabelled, keys });
      assert.equal(withKeys.ok ? null : withKeys.link, 'record', label);
    }
    // Honest over two logs: proven with both keys, without an order.
    const over = { dispatch: there.dispatch, proof: here.proof };
    const apart = await verifyApproval({ ...over, keys });
    assert.equal(apart.ok && apart.yes[0]?.isBefore, false, JSON.stringify(apart));
    const together = await verifyApproval({ dispatch: here.dispatch, proof: here.proof, keys });
    assert.equal(together.ok && together.yes[0]?.isBefore, true);
    const without = await verifyApproval({ ...over, keys: [two.vkey] });
    assert.deepEqual(without, { ok: false, link: 'record', detail: 'no key of the log log.example was given' });
    const file = parseReceiptFile(
      JSON.stringify({
        ...{ format: 'gatehouse-receipt/1', action: 'act_1', receipts: [there.dispatch], approvals: [here.proof] },
      }),
    );
    const checked = await verifyReceiptFile(file, { keys });
    assert.match(checked.at(-1)?.detail ?? '', /order not proven/);
  });

  it('breaks at the link that was tampered with', async () => {
    const broken = async (...of: Parameters<typeof verified>) => (await verified(...of)).broken;
    // The dispatch.
    assert.equal(await broken(good, { dispatch: dispatchOf(undefined, { approval: 'apr_2' }) }), 'dispatch');
    assert.equal(await broken(good, { dispatch: dispatchOf(undefined, { kind: 'request' }) }), 'dispatch');
    assert.equal(await broken(good, { order: [0, 2, 1] }), 'dispatch', 'ran before it was approved');
    // What was dispatched.
    for (const member of ['agent', 'task', 'operation', 'tool', 'tool_definition'])
      assert.equal(await broken(good, { dispatch: dispatchOf(undefined, { [member]: 'other' }) }), 'subject', member);
    assert.equal(
      await broken(good, { dispatch: dispatchOf(undefined, { decision: { policyVersion: 'other' } }) }),
      'subject',
    );
    assert.equal(await broken(good, { dispatch: dispatchOf({ ...subject.arguments, order: 1 }) }), 'arguments');
    assert.equal(await broken(good, { proof: { argumentsSalt: text(Buffer.alloc(16)) } }), 'arguments');
    assert.equal(await broken(good, { proof: { argumentsSalt: null } }), 'arguments');
    for (const member of Object.keys(subject))
      assert.equal(await broken(good, { proof: { subject: { ...subject, [member]: 'other' } } }), 'subject', member);
    assert.equal(await broken(good, { proof: { subject: { ...subject, more: 1 } } }), 'subject');
    // The record of the yes.
    const digests = [`digest ${good.digest}`, `assertion ${digestOf(good)}`];
    const said = (changes: string[], more: object = {}) =>
      change('approval.approve', PERSON, changes, { approval: 'apr_1', ...more });
    assert.equal(await broken(good, { said: said(digests, { approval: 'apr_2' }) }), 'record');
    assert.equal(await broken(good, { said: said(digests, { operation: 'approval.approve.refuse' }) }), 'record');
    assert.equal(await broken(good, { said: said(digests, { operation: 'agent.kill' }) }), 'record');
    assert.equal(await broken(good, { said: said(digests, { kind: 'request' }) }), 'record');
    assert.equal(
      await broken(good, { said: change('approval.approve', 'other@example.test', digests, { approval: 'apr_1' }) }),
      'record',
    );
    assert.equal(await broken(good, { said: said(digests.slice(0, 1)) }), 'assertion');
    assert.equal(await broken(good, { said: said(digests.slice(1)) }), 'subject');
    // What was signed: recorded faithfully, and still wrong.
    assert.equal(await broken({ ...good, response: key.signed(Buffer.alloc(32)) }), 'challenge');
    assert.equal(await broken({ ...good, endorse: [{ role: 'destination', value: 'x' }] }), 'challenge');
    assert.equal(await broken({ ...good, publicKey: passkey('ES256').publicKey }), 'assertion');
    assert.equal(await broken({ ...good, rpId: 'evil.example' }), 'assertion');
    assert.equal(await broken({ ...good, origin: 'https://evil.example' }), 'assertion');
    assert.equal(await broken(evidenceBy(key, {}, { flags: 1 })), 'assertion', 'nobody was verified');
    for (const part of ['clientDataJSON', 'authenticatorData', 'signature'] as const) {
      const bytes = Buffer.from(good.response[part], 'base64url');
      bytes[bytes.length - 6] = (bytes[bytes.length - 6] ?? 0) ^ 1;
      assert.notEqual(await broken({ ...good, response: { ...good.response, [part]: text(bytes) } }), null, part);
    }
    // Whose key it is.
    const { proof } = await verified(good);
    const yes = proof.yes.map((each) => ({ ...each, enrolment: null }));
    assert.equal(await broken(good, { proof: { yes } }), 'key');
    assert.equal(await broken(good, { enrol: change('passkey.enrol', PERSON, ['key sha256-00']) }), 'key');
    assert.equal(
      await broken(good, { enrol: change('passkey.enrol', 'other@example.test', [`key ${digestOf(good.publicKey)}`]) }),
      'key',
    );
    // Which log.
    assert.equal(await broken(good, { vkey: newSigner('log.example').vkey }), 'dispatch');
  });

  it('is judged and not thrown, whatever is in it', async () => {
    const junk = [null, 1, 'x', [], {}, { response: {} }] as unknown[];
    for (const evidence of junk) {
      const { proof } = await verified(good);
      const yes = proof.yes.map((each) => ({ ...each, evidence: evidence as YesEvidence }));
      assert.notEqual((await verified(good, { proof: { yes } })).broken, null);
    }
    for (const yes of [[], null, [null], [{}]] as unknown[])
      assert.notEqual((await verified(good, { proof: { yes: yes as ApprovalProof['yes'] } })).broken, null);
    const { proof } = await verified(good);
    assert.notEqual((await verified(good, { proof: { yes: [...proof.yes, ...proof.yes] } })).broken, null);
  });

  it('of the software passkey of the tests is like that of a browser', async () => {
    const passkey = createSoftwarePasskey();
    const of = { approval: 'apr_1', digest: digestOf(subject) };
    const { response } = passkey.assert({ challenge: text(yesChallenge(of)), rpId: 'gate.example' }, ORIGIN);
    const { privateJwk } = JSON.parse(passkey.serialise()) as { privateJwk: Record<string, string> };
    const jwk = createPublicKey(createPrivateKey({ key: privateJwk, format: 'jwk' })).export({ format: 'jwk' });
    const { clientDataJSON, authenticatorData, signature } = response;
    const publicKey = { ...(jwk as Record<string, string>), alg: 'ES256' };
    const given = { ...good, publicKey, response: { id: passkey.id, clientDataJSON, authenticatorData, signature } };
    assert.equal((await verified(given)).broken, null);
  });
});

/** @proves approval.list-exact */
describe('a list signed with one gesture', () => {
  const pair = fc.record({
    approval: fc.stringMatching(/^apr_[a-z0-9]{1,6}$/),
    digest: fc.stringMatching(/^sha256-[0-9a-f]{4}$/),
  });
  const lists = fc
    .uniqueArray(pair, { minLength: 2, maxLength: 50, selector: ({ approval }) => approval })
    .map((list) => list.sort((a, b) => (a.approval < b.approval ? -1 : 1)));
  const hexOf = (list: Parameters<typeof listChallenge>[0]) => Buffer.from(listChallenge(list)).toString('hex');

  it('is another challenge with one more, one less, one changed, and none in another order', () => {
    fc.assert(
      fc.property(lists, fc.nat(), pair, (list, at, other) => {
        const index = at % list.length;
        const signed = hexOf(list);
        const without = list.filter((_, position) => position !== index);
        if (without.length >= 2) assert.notEqual(hexOf(without), signed);
        else assert.throws(() => listChallenge(without));
        const changed = list.map((each, position) =>
          position === index ? { ...each, digest: `${each.digest}0` } : each,
        );
        assert.notEqual(hexOf(changed), signed);
        if (!list.some(({ approval }) => approval === other.approval) && list.length < 50) {
          const more = [...list, other].sort((a, b) => (a.approval < b.approval ? -1 : 1));
          assert.notEqual(hexOf(more), signed);
        }
        assert.throws(() => listChallenge(list.toReversed()));
        assert.throws(() => listChallenge([...list, list.at(-1) as (typeof list)[0]]));
      }),
      { numRuns: 200 },
    );
  });

  it('has between 2 and 50, and holds what it is the evidence of', async () => {
    const many = Array.from({ length: 51 }, (_, i) => ({ approval: `apr_${String(i).padStart(2, '0')}`, digest: 'x' }));
    assert.throws(() => listChallenge(many));
    assert.throws(() => listChallenge(many.slice(0, 1)));
    listChallenge(many.slice(0, 50));
    const key = passkey('ES256');
    const list = [
      { approval: 'apr_0', digest: digestOf('a') },
      { approval: 'apr_2', digest: digestOf(subject) },
    ];
    const response = key.signed(listChallenge(list));
    const evidence = { ...evidenceBy(key), list, response };
    assert.equal((await verified(evidence)).broken, 'challenge', 'a list of others proves nothing');
  });
});
