import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConsentClient, PersonManifest } from '@gatehouse/protocol';
import type { Agent, Snapshot } from '../../registry/index.ts';
import { agentManifest } from '../testing/house.ts';
import { agentsFor, MOST_CHOICES } from './choices.ts';

const person: PersonManifest = { kind: 'Person', email: 'dev@example.test', displayName: 'Dev', roles: ['developer'] };
const client = { id: 'app', known: 'registered' } as ConsentClient;
const agent = (name: string, clients?: string[]) =>
  ({ name, state: 'active', killedAt: null, manifest: agentManifest(name, clients ? { clients } : {}) }) as Agent;
const snapshotOf = (agents: Agent[]) =>
  ({ agents: new Map(agents.map((each) => [each.name, each])) }) as unknown as Snapshot;
const offered = (agents: Agent[]) => agentsFor(snapshotOf(agents), { client, person }).map(({ name }) => name);

test('of many agents the first by name are offered, as many as a page shows, in whatever order they are known', () => {
  const names = Array.from({ length: 20_000 }, (_, at) => `agent-${String((at * 7_919) % 20_000).padStart(5, '0')}`);
  assert.deepEqual(offered(names.map((name) => agent(name))), names.toSorted().slice(0, MOST_CHOICES));
  assert.deepEqual(offered([agent('b'), agent('a')]), ['a', 'b']);
});

test('a client that agents name drives those, and no others', () => {
  assert.deepEqual(offered([agent('a'), agent('c', ['app']), agent('b', ['other']), agent('d', ['app'])]), ['c', 'd']);
});
