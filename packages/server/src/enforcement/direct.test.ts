import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ProviderAbilities, residualWords } from '@gatehouse/protocol';
import type { LeaseRequest } from '../credentials/leases/types.ts';
import { GatehouseError } from '../platform/index.ts';
import { createDirect, endsOf } from './direct.ts';

const full: ProviderAbilities = { canNarrow: true, canRevoke: true, canEndSessions: true, maxResidualSeconds: 0 };

/** @proves direct.approved */
test('whoever lets a credential out is told for how long it works on, whatever its provider can do', () => {
  const words = (more: Partial<ProviderAbilities>, seconds = 300) => residualWords({ ...full, ...more }, seconds);
  assert.equal(words({}), 'It ends with its task, by a kill, or when it is revoked.');
  assert.match(words({ maxResidualSeconds: 30 }), /up to 30 s after that\.$/);
  assert.match(words({ maxResidualSeconds: null }), /up to 300 s after that/);
  assert.match(words({ canEndSessions: false }), /What was opened with it before stays open\.$/);
  assert.match(words({ endsOnlyByGatehouse: true }), /works on past its time/);
  assert.match(words({ pastItsTimeSeconds: 86_400 }), /is away it works for up to 24 h past its time\.$/);
  const lasting = { canRevoke: false, maxResidualSeconds: null };
  assert.match(words(lasting), /can't be taken back: it works until it expires, 300 s at most, also after a kill/);
  assert.match(words({ ...lasting, sessionsOutlive: true }), /Sessions that were opened with it go on after that\.$/);
  assert.match(words({ ...lasting, leastSeconds: 900 }), /900 s at most/);
  assert.match(words({ ...lasting, isStored: true }), /until somebody changes it/);
});

/** @proves direct.narrow */
test('what is handed out is made within what each template of its tasks gives, whatever was decided before', async () => {
  const requests: LeaseRequest[] = [];
  const direct = createDirect({
    leases: {
      issue: async (request) => {
        requests.push(request);
        throw new GatehouseError('forbidden', 'lease.scope', 'beyond');
      },
      handedOut: async () => undefined,
      withinQuota: async () => undefined,
      abilitiesOf: async () => full,
    },
  });
  const orders = { serviceAccounts: ['shop/reader'] };
  const wider = { serviceAccounts: ['shop/reader', 'web/reader'] };
  const template = (name: string, scope: object) => [name, { name, credentials: [{ provider: 'cluster', scope }] }];
  const templates = new Map([template('one', orders), template('two', wider)] as never);
  const task = (name: string) => ({ id: 'tsk_1', template: name, parameters: {}, environment: 'prod', expiresAt: 1 });
  const agents = new Map([['agent-a', { manifest: { credentialSeconds: 120 } }]]);
  const issue = (first: string) =>
    direct.issue(
      { templates, credentialProviders: new Map(), agents } as never,
      {
        server: 'cluster',
        arguments: { scope: wider, seconds: 300, residual: '' },
        caller: { agent: 'agent-a', task: task(first), chain: [{ task: task('one') }] },
      } as never,
      [],
      endsOf(undefined, { until: 7 } as never),
    );
  assert.deepEqual(await issue('two'), { refused: { code: 'lease.scope', reason: 'beyond' } });
  assert.deepEqual(requests[0]?.within, [wider, orders]);
  assert.deepEqual(
    requests[0]?.until.map(({ why }) => why),
    ['the task ends', 'the break-glass access ends'],
  );
  assert.equal(requests[0]?.agentSeconds, 120);
  const gone = await issue('removed');
  assert.ok(gone !== 'stale' && 'refused' in gone && gone.refused.code === 'credential.scope');
  assert.equal(requests.length, 1);
});
