import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { manifests } from './support/fixtures.ts';
import { startPostgres } from './support/postgres.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

const DAY_MS = 86_400_000;
const pick = <T, K extends keyof T>(of: T, ...names: K[]) => names.map((name) => of[name]);
const postgres = await startPostgres();
after(() => postgres?.close());

for (const name of ['SQLite', 'PostgreSQL'])
  describe(`keeping and erasing (${name})`, { skip: name === 'PostgreSQL' && !postgres }, () => {
    let workspace: Workspace;
    let owner: SignedInPerson;
    let second: SignedInPerson;
    let ahead = 0;

    before(async () => {
      const database = name === 'SQLite' ? 'sqlite' : ((await postgres?.createDatabase())?.url ?? '');
      workspace = await startWorkspace({ database, clock: { now: () => Date.now() + ahead } });
      await workspace.apply([
        ...manifests(),
        { kind: 'Person', email: 'security@example.test', displayName: 'Security', roles: ['security'] },
      ]);
      owner = await workspace.person('owner@example.test');
      second = await workspace.person('security@example.test');
    });
    after(() => workspace.close());

    async function act(ticket: string): Promise<string> {
      const agent = await workspace.agent('agent-a');
      const task = await agent.startTask({ template: 'all', intent: 'look', ticket });
      const client = new Client({ name: 't', version: '1' });
      await client.connect(createMcpTransport(task));
      await client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } });
      await client.close();
      const { items } = await workspace.operator('GET /actions', { query: { ticket, operation: 'tools/call' } });
      return items[0]?.actionId ?? '';
    }
    const argumentsOf = async (id: string) =>
      (await workspace.operator('GET /actions/:id', { params: { id } })).arguments;
    async function done(id: string) {
      for (let tries = 0; tries < 300; tries++) {
        const { items } = await workspace.operator('GET /erasures');
        const found = items.find((each) => each.id === id);
        if (found?.state === 'done') return found;
        await sleep(100);
      }
      throw new Error('the erasure does not end');
    }

    /** @proves record.erasure, record.erasure-preview */
    test('bodies are erased when two people want it; the log verifies as before, and a hold goes before', async () => {
      const [erased, held, other] = [await act('T-1'), await act('T-2'), await act('T-3')];
      await owner.api('POST /holds', { body: { scope: { ticket: 'T-2' }, reason: 'litigation' } });
      const scope = { agent: 'agent-a', to: new Date(Date.now() + DAY_MS).toISOString() };
      const { id } = await owner.api('POST /erasures', {
        body: { scope: { ...scope, ticket: 'T-1' }, reason: 'GDPR 17' },
      });
      await assert.rejects(owner.secondYes('erasure.agree', id), { status: 403 }, 'whoever asked');
      const body = { nonce: 'x', assertion: {} };
      const host = workspace.operator('POST /erasures/:id/agree', { params: { id }, body });
      await assert.rejects(host, { status: 403 }, 'the token of the host');
      const click = second.api('POST /erasures/:id/agree', { params: { id }, body: {} });
      await assert.rejects(click, { status: 400 }, 'without a passkey');
      assert.deepEqual(await argumentsOf(erased), { order: 1042 });
      const look = (query: Record<string, string>) => second.api('GET /erasure-preview', { query });
      assert.deepEqual(pick(await look({ agent: 'agent-a', ticket: 'T-1' }), 'arguments', 'held'), [1, 0]);
      assert.deepEqual(pick(await look({ agent: 'agent-a', ticket: 'T-2' }), 'arguments', 'held'), [0, 1]);
      assert.deepEqual(await argumentsOf(erased), { order: 1042 }, 'a look changes nothing');
      await assert.rejects(look({}), { status: 400 });
      await assert.rejects(look({ agent: 'agent-a', cursor: 'x' }), { status: 400 });
      const { items: looks } = await workspace.operator('GET /records', { query: { operation: 'log.read' } });
      assert.ok(looks.some(({ record }) => /what an erasure of .*ticket T-1 would take/.test(record.changes[0] ?? '')));
      const yes = await second.secondYes('erasure.agree', id);
      await second.api('POST /erasures/:id/agree', { params: { id }, body: yes });
      assert.equal((await done(id)).erased, 1);
      assert.equal((await look({ agent: 'agent-a', ticket: 'T-1' })).arguments, 0);
      assert.equal(await argumentsOf(erased), null);
      assert.deepEqual(await argumentsOf(other), { order: 1042 });

      const whole = await owner.api('POST /erasures', { body: { scope, reason: 'all of it' } });
      const foreseen = await look({ agent: 'agent-a', to: scope.to });
      const elsewhere = second.api('POST /erasures/:id/agree', { params: { id: whole.id }, body: yes });
      await assert.rejects(elsewhere, { status: 403 }, 'what a passkey has signed for another one');
      const ofAll = await second.secondYes('erasure.agree', whole.id);
      await second.api('POST /erasures/:id/agree', { params: { id: whole.id }, body: ofAll });
      const all = await done(whole.id);
      assert.equal(foreseen.arguments + foreseen.results, all.erased);
      assert.ok(all.erased >= 1 && all.held >= 1, JSON.stringify(all));
      assert.equal(await argumentsOf(other), null);
      assert.deepEqual(await argumentsOf(held), { order: 1042 });
      assert.equal((await workspace.operator('POST /logs/verify', { body: {} })).ok, true);
    });

    /** @proves record.hold, record.retention */
    test('what is old is removed by itself, but for what is held; a hold ends by two people, and then that goes too', async () => {
      const [old, held] = [await act('T-4'), await act('T-5')];
      const { id } = await owner.api('POST /holds', { body: { scope: { ticket: 'T-5' }, reason: 'litigation' } });
      ahead = 91 * DAY_MS;
      const gone = async (action: string) => {
        for (let tries = 0; tries < 300 && (await argumentsOf(action)) !== null; tries++) await sleep(100);
        return argumentsOf(action);
      };
      assert.equal(await gone(old), null);
      assert.deepEqual(await argumentsOf(held), { order: 1042 });
      const [a, b] = [await workspace.signInAgain(owner), await workspace.signInAgain(second)];
      await a.api('POST /holds/:id/end', { params: { id } });
      await assert.rejects(a.secondYes('hold.end', id), { status: 403 });
      assert.deepEqual(await argumentsOf(held), { order: 1042 });
      await b.api('POST /holds/:id/agree', { params: { id }, body: await b.secondYes('hold.end', id) });
      assert.equal(await gone(held), null);
      const { items } = await workspace.operator('GET /records', { query: { operation: 'retention.remove' } });
      assert.ok(items.some(({ record }) => /kept for 90 days/.test(record.changes[0] ?? '')));
      assert.equal((await workspace.operator('POST /logs/verify', { body: {} })).ok, true);
    });
  });
