import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Snapshot } from '../../../registry/index.ts';
import type { Sources } from '../check.ts';
import { separated } from './identities.ts';
import { transport } from './operations.ts';
import { labelled } from './policies.ts';

const unasked = () => assert.fail('nothing is asked of the database');
const sourcesOf = (snapshot: Partial<Snapshot>, publicUrl = 'https://gate.example.test') =>
  ({ snapshot: { people: new Map(), servers: new Map(), ...snapshot }, publicUrl }) as unknown as Sources;

/** @proves evidence.not-met */
test('one person who holds all grave roles is a finding', async () => {
  const people = (roles: string[]) =>
    new Map([['a@example.test', { email: 'a@example.test', roles }]]) as unknown as Snapshot['people'];
  const statusWith = async (roles: string[]) =>
    (await separated.run(sourcesOf({ people: people(roles) }), unasked)).status;
  assert.equal(await statusWith(['admin', 'approver', 'security']), 'not-met');
  assert.equal(await statusWith(['admin', 'approver']), 'met');
  assert.equal(await statusWith(['owner']), 'no-data');
});

/** @proves evidence.not-met */
test('a tool that pays and has no labelled argument is a finding; one that is forbidden is none', async () => {
  const servers = (tier: number, roles: object) =>
    new Map([
      ['bank', { tools: new Map([['pay', { ref: 'bank/pay', tier, effects: ['pay'], labels: { roles } }]]) }],
    ]) as unknown as Snapshot['servers'];
  const statusWith = async (tier: number, roles: object) =>
    (await labelled.run(sourcesOf({ servers: servers(tier, roles) }), unasked)).status;
  assert.equal(await statusWith(3, {}), 'not-met');
  assert.equal(await statusWith(3, { iban: 'payee' }), 'met');
  assert.equal(await statusWith(4, {}), 'no-data');
});

/** @proves evidence.not-met */
test('an address without TLS is a finding, Gatehouse’s own and that of a tool server', async () => {
  const server = (url: string) =>
    new Map([['x', { name: 'x', manifest: { transport: { type: 'http', url } } }]]) as unknown as Snapshot['servers'];
  const statusOf = async (publicUrl: string, url: string) =>
    (await transport.run(sourcesOf({ servers: server(url) }, publicUrl), unasked)).status;
  assert.equal(await statusOf('https://gate.example.test', 'https://tools.example.test/mcp'), 'met');
  assert.equal(await statusOf('https://gate.example.test', 'http://tools.example.test/mcp'), 'not-met');
  assert.equal(await statusOf('http://gate.example.test', 'https://tools.example.test/mcp'), 'not-met');
});
