import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Approval } from '@gatehouse/protocol';
import fc from 'fast-check';
import { messageOf, plain } from './message.ts';

/** @proves channel.plain */
test('what a mail or chat program would make a link or hide is written so that it is neither', () => {
  for (const [text, shown] of [
    ['see https://evil.example/login', 'see https[:]//evil[.]example/login'],
    ['evil.example', 'evil[.]example'],
    ['a@evil.example', 'a@evil[.]example'],
    ['10.0.0.1', '10[.]0[.]0[.]1'],
    ['evil。example', 'evil[.]example'],
    ['pay 40.00 EUR.', 'pay 40.00 EUR.'],
    ['javascript:alert(1)', 'javascript[ ]:alert(1)'],
    ['ab\u202Edc', 'ab\\u{202e}dc'],
    ['a\u200Bb\u0000\r\nBcc: x', 'a\\u{200b}b\\u{0}\\u{d}\nBcc: x'],
    ['\u{E0041}', '\\u{e0041}'],
  ] as const)
    assert.equal(plain(text), shown);
});

/** @proves channel.plain */
test('whatever is given, nothing that reads as an address or is hidden comes out, and once is enough', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('https://', 'www.', 'evil.example', '.', ':', '/', '<@U1>', '\u202E', 'mailto:'),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const text = plain(pieces.join(''));
      assert.doesNotMatch(text, /:\/\//);
      assert.doesNotMatch(text, /\p{L}\.\p{L}/u);
      assert.doesNotMatch(text.replaceAll('\n', ''), /\p{C}/u);
      assert.equal(plain(text), text);
    }),
  );
});

const KEY = `AKIA${'QWERTYUIOPASDFGH'}`;
/** As enforcement masks: names a credential in place of showing it. */
const mask = (value: unknown): never => JSON.parse(JSON.stringify(value).replaceAll(KEY, '[aws-key]')) as never;
const approval = (change: Partial<Approval>) =>
  ({
    id: 'apr_1',
    agent: 'refunds',
    tool: 'shop/refund',
    environment: 'prod',
    state: 'pending',
    expiresAt: 0,
    decidedBy: null,
    reason: null,
    digest: 'sha256:1',
    operation: 'tools/call',
    intent: 'refund',
    arguments: { order: 1 },
    requestedBy: 'user:desk',
    onBehalfOf: null,
    delegated: null,
    decision: { reason: 'shop/refund is tier 3.' },
    undo: { possible: 'partly', how: 'void it', withinSeconds: null, isSaid: true, isDestructive: false },
    risk: { score: 0, reasons: ['its task has read personal data'] },
    ...change,
  }) as Approval;
const told = (change: Partial<Approval>, event: 'asked' | 'closed' = 'asked') =>
  messageOf(approval(change), event, { show: 'arguments', publicUrl: 'https://gate.example.test', mask });

/** @proves channel.informed */
test('who can say yes in a channel is told who asked, why it waits, what its task has read and whether it can be undone', () => {
  assert.deepEqual(told({}).facts.slice(4), [
    ['Asked for by (declared by the agent)', 'user:desk'],
    ['Why it waits', 'shop/refund is tier 3.'],
    ['Look at', 'its task has read personal data'],
    ['Can be undone', 'partly: void it'],
  ]);
  const chain = [{ agent: 'triage', agentEpoch: 1, task: 'tsk_1' }];
  const delegated = told({ delegated: { user: 'ada@corp.test', chain, narrowing: [] } }).facts;
  assert.equal(delegated.length, 10, 'what Slack shows');
  assert.deepEqual(delegated.slice(5, 7), [
    ['Done for (proven)', 'ada@corp[.]test'],
    ['Handed on by', 'triage'],
  ]);
  assert.equal(told({}, 'closed').facts.length, 4, 'what is decided needs none of it');
  for (const show of ['nothing', 'tool'] as const)
    assert.ok(
      messageOf(approval({}), 'asked', { show, publicUrl: 'https://gate.example.test', mask }).facts.length < 4,
      show,
    );
});

/** @proves channel.minimal */
test('no part of a message holds a credential, or a line that an agent made', () => {
  const forged = `x\nEnvironment: dev\nAgent: trusted ${KEY}`;
  for (const change of [
    { tool: `docs#resources file:///a?key=${KEY}\nAgent: other` },
    { intent: forged },
    { requestedBy: forged },
    { onBehalfOf: forged },
    { decision: { reason: forged } as Approval['decision'] },
    { arguments: { note: forged } },
    { reason: forged, state: 'denied' as const },
  ]) {
    const message = told(change, 'reason' in change ? 'closed' : 'asked');
    assert.ok(!JSON.stringify(message).includes(KEY), JSON.stringify(message));
    for (const text of [message.heading, ...message.facts.flat()]) assert.doesNotMatch(text, /\n/);
  }
});

/** @proves channel.seen */
test('a message is whole only while nothing of it is cut or masked', () => {
  assert.ok(told({}).isWhole);
  for (const change of [
    { arguments: { note: 'x'.repeat(2_000) } },
    { arguments: { note: KEY } },
    { tool: `docs#resources file:///${'x'.repeat(400)}` },
    { tool: `docs#resources file:///${KEY}` },
  ])
    assert.ok(!told(change).isWhole, JSON.stringify(change));
  const shown = { show: 'tool' as const, publicUrl: 'https://gate.example.test', mask };
  assert.ok(!messageOf(approval({}), 'asked', shown).isWhole);
});
