import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Manifest, manifest } from '@gatehouse/protocol';
import { reachesTheSame } from '../same-system.ts';
import { reasonsOf, verdicts } from './index.ts';

const kinds = manifest.options.map((option) => ({
  kind: option.shape.kind.value,
  members: Object.keys(option.shape).filter((name) => !['kind', 'name', 'email'].includes(name)),
}));

const around = { policies: [] };

/** @proves policy.every-member-judged */
test('every member of every kind of manifest has a verdict, and no verdict is about one that is not there', () => {
  assert.deepEqual(Object.keys(verdicts).sort(), kinds.map(({ kind }) => kind).sort());
  for (const { kind, members } of kinds)
    assert.deepEqual(Object.keys(verdicts[kind].members).sort(), members.sort(), kind);
});

/** @proves policy.every-member-judged */
test('a member nobody has looked at decides, and so does a kind that nobody knows', () => {
  const strange = { kind: 'Template', name: 't', description: '', allow: [], parameters: {}, ttlSeconds: 60 };
  const change = (more: object) => reasonsOf(strange as never, { ...strange, ...more } as never, around);
  assert.deepEqual(change({ description: 'other' }), []);
  assert.deepEqual(change({ added: true }), ['"added" is changed']);
  assert.deepEqual(change({ constructor: true }), ['"constructor" is changed']);
  assert.equal(reasonsOf(null, { kind: 'Strange', name: 's' } as unknown as Manifest, around).length, 1);
});

/** @proves policy.every-member-judged */
test('what every change of decides is said to relax, and what is only read is not', () => {
  for (const { kind } of kinds)
    for (const [member, verdict] of Object.entries(verdicts[kind].members)) {
      if (typeof verdict === 'function') continue;
      const [before, after] = [1, 2].map((value) => ({ kind, name: 'n', [member]: value }) as unknown as Manifest);
      const why = reasonsOf(before ?? null, after ?? null, around);
      assert.deepEqual(why, verdict === 'decides' ? [`"${member}" is changed`] : [], `${kind}.${member}`);
    }
});

/** @proves policy.second-person */
test('a server of another name or environment that reaches the same system is known by its host, values and secrets', () => {
  const http = (url: string, authorization?: object) =>
    ({
      transport: { type: 'http', url, allowPrivateAddress: false, ...(authorization && { authorization }) },
    }) as never;
  const stdio = (args: string[], env: Record<string, string> = {}) =>
    ({ transport: { type: 'stdio', command: 'node', args, env, directories: [] } }) as never;
  const production = http('https://shop.example.test/mcp');
  for (const same of [
    http('https://SHOP.example.test:8443/other'),
    http('https://shop.example.test./mcp'),
    stdio(['bridge.js', '--to', 'https://shop.example.test/']),
  ])
    assert.equal(reachesTheSame(same, production), true, JSON.stringify(same));
  assert.equal(reachesTheSame(http('https://staging.example.test/mcp'), production), false);
  assert.equal(reachesTheSame(http('http://localhost:1/'), http('http://127.0.0.1:1/')), true);
  assert.equal(reachesTheSame(http('http://localhost:1/'), http('http://localhost:2/')), false);
  const secret = { type: 'client_credentials', clientSecret: 'shop-prod' };
  assert.equal(reachesTheSame(http('https://a.example.test', secret), http('https://b.example.test', secret)), true);
  const database = stdio(['db.js'], { DATABASE: 'postgres://db.example.test/prod' });
  assert.equal(reachesTheSame(stdio(['db.js'], { DATABASE: 'postgres://db.example.test/other' }), database), true);
  assert.equal(reachesTheSame(stdio(['db.js'], { DATABASE: 'postgres://dev.example.test/dev' }), database), false);
  assert.equal(reachesTheSame(stdio(['shop.js', 'quietly']), stdio(['shop.js', '--verbose'])), true);
  const own = '{workingDirectory}/notes.sqlite';
  assert.equal(reachesTheSame(stdio(['notes.js', own]), stdio(['shop.js', own])), false);
  assert.equal(reachesTheSame(stdio(['a.js', '--to=https://shop.example.test']), production), true);
});

/** @proves policy.second-person */
test('a sink that is new, goes elsewhere, sends less or is gone waits; one that sends more of the same does not', () => {
  const sink = (more: object): Manifest =>
    manifest.parse({
      kind: 'Sink',
      name: 'siem',
      format: 'ocsf',
      to: { type: 'webhook', url: 'https://siem.example.test/in', secret: 'hook' },
      ...more,
    });
  const plain = sink({});
  const agents = (...names: string[]) => sink({ filter: { agents: names } });
  assert.deepEqual(reasonsOf(null, plain, around), ['records are sent to siem.example.test']);
  assert.deepEqual(reasonsOf(plain, null, around), ['records are no longer sent to siem.example.test']);
  const relaxes: [Manifest, Manifest][] = [
    [plain, agents('agent-a')],
    [agents('agent-a', 'agent-b'), agents('agent-a')],
    [agents('agent-a'), sink({ filter: { agents: ['agent-a'], decisions: ['deny'] } })],
    [plain, sink({ bodies: 'arguments' })],
    [plain, sink({ warnAfterSeconds: 3_600 })],
    [plain, sink({ to: { type: 'webhook', url: 'https://elsewhere.example.test/in', secret: 'hook' } })],
  ];
  for (const [before, after] of relaxes)
    assert.equal(reasonsOf(before, after, around).length, 1, JSON.stringify(after));
  const tightens: [Manifest, Manifest][] = [
    [agents('agent-a'), plain],
    [agents('agent-a'), agents('agent-a', 'agent-b')],
    [sink({ bodies: 'arguments' }), plain],
    [plain, sink({ batchRecords: 10, timeoutMs: 500, description: 'x', warnAfterSeconds: 60 })],
  ];
  for (const [before, after] of tightens) assert.deepEqual(reasonsOf(before, after, around), [], JSON.stringify(after));
});

/** @proves policy.second-person */
test('a class of retention that could keep anything for a shorter time waits; one that keeps longer does not', () => {
  const kept = (more: object): Manifest => manifest.parse({ kind: 'Retention', name: 'r', ...more });
  const year = kept({ records: 400, arguments: 90 });
  const relaxes: [Manifest | null, Manifest | null][] = [
    [null, year],
    [null, kept({ arguments: 1 })],
    [year, null],
    [year, kept({ records: 399, arguments: 90 })],
    [year, kept({ records: 400, arguments: 30 })],
    // What it says no more, a shorter class may say.
    [year, kept({ arguments: 90 })],
    [kept({ records: 'forever' }), kept({ records: 9_000 })],
    [year, kept({ records: 400, arguments: 90, of: { tools: ['crm/*'] } })],
    [kept({ records: 10 }), kept({ records: 10, belowMinimum: 'no need' })],
  ];
  for (const [before, after] of relaxes) assert.ok(reasonsOf(before, after, around).length > 0, JSON.stringify(after));
  const tightens: [Manifest | null, Manifest | null][] = [
    [null, kept({ records: 'forever' })],
    [year, kept({ records: 401, arguments: 'forever' })],
    [year, kept({ records: 'forever', arguments: 91, description: 'x', published: 'leave' })],
  ];
  for (const [before, after] of tightens) assert.deepEqual(reasonsOf(before, after, around), [], JSON.stringify(after));
});

/** @proves policy.second-person */
test('that credentials may be handed out, to more, for longer or at a lower tier, lets more through; less of it does not', () => {
  const provider = { kind: 'CredentialProvider', name: 'p', environments: [], life: {}, from: { type: 'x' } };
  const direct = { tier: 3, maxSeconds: 600, perTask: 5, perHour: 30 };
  const why = (before: object | undefined, after: object | undefined) =>
    reasonsOf({ ...provider, direct: before } as never, { ...provider, direct: after } as never, around).length;
  assert.equal(why(undefined, direct), 1);
  assert.equal(why(direct, undefined), 0);
  assert.equal(why(direct, { ...direct, tier: 2 }), 1);
  for (const more of ['maxSeconds', 'perTask', 'perHour'] as const)
    assert.deepEqual([why(direct, { ...direct, [more]: 900 }), why({ ...direct, [more]: 900 }, direct)], [1, 0], more);
  const entry = { provider: 'p', scope: {} };
  const template = (...credentials: object[]) => ({ kind: 'Template', name: 't', allow: [], credentials }) as never;
  assert.equal(reasonsOf(template(), template({ ...entry, direct: true }), around).length, 1);
  assert.equal(reasonsOf(null, template({ ...entry, direct: true }), around).length, 1);
  assert.equal(reasonsOf(template(), template(entry), around).length, 0);
});
