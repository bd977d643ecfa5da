import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { OpenBaoSource } from '@gatehouse/protocol';
import { createOutbound, type Json, Secret, systemClock } from '../../platform/index.ts';
import { NotMade, type Order, type Provider } from '../leases/types.ts';
import { openOpenBaoProvider } from './openbao.ts';

/** What stands between Gatehouse and OpenBao and refuses in its place; OpenBao itself is in `test/openbao-credentials.test.ts`. */
interface Answer {
  status: number;
  body?: object;
}
const blocked: Answer = { status: 403, body: { message: 'Forbidden' } };
const denied: Answer = { status: 403, body: { errors: ['permission denied'] } };
const signedIn: Answer = {
  status: 200,
  body: { auth: { client_token: 'sign-in', lease_duration: 1_200, policies: ['default'] } },
};
const seen: Answer = { status: 200, body: { data: {} } };

describe('answers in place of OpenBao', () => {
  let server: Server;
  let provider: Provider;
  let answers: Record<string, Answer> = {};
  let asked: string[] = [];
  const outbound = createOutbound();
  const signal = () => AbortSignal.timeout(5_000);
  const order: Order = {
    ...{ lease: 'lse_1', name: 'gh_1', scope: { policies: ['a'] }, expiresAt: Date.now() + 600_000 },
    ...{ environment: 'production', agent: 'agent-1', task: 'tsk_1' },
  };

  before(async () => {
    server = createServer((request, response) => {
      const path = (request.url ?? '').replace('/v1/auth/', '');
      asked.push(`${path} ${request.headers['x-vault-token'] ?? ''}`);
      const { status, body } = answers[path] ?? blocked;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(body && JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const source = {
      ...{ type: 'openbao', url, mount: 'jwt', role: 'agents', audience: 'openbao', allowPrivateAddress: true },
      issue: { type: 'token', policies: ['a'] },
    } as OpenBaoSource;
    const identityToken = async () => new Secret('who it is');
    provider = openOpenBaoProvider(source, { outbound, clock: systemClock, identityToken, environment: 'production' });
  });
  beforeEach(() => {
    asked = [];
  });
  after(async () => {
    server.close();
    server.closeAllConnections();
    await outbound.close();
  });

  const create = async (given: Record<string, Answer>) => {
    answers = given;
    return provider.create(order, signal()).then(
      () => assert.fail('something was made'),
      (error: unknown) => (error instanceof NotMade ? 'not made' : 'not known'),
    );
  };

  /** @proves lease.openbao-token */
  test('only OpenBao itself says that nothing was made', async () => {
    assert.equal(await create({ 'jwt/login': denied }), 'not made');
    assert.equal(await create({ 'jwt/login': blocked }), 'not known');
  });

  /** @proves lease.openbao-token */
  test('a sign-in that cannot be seen is there: it is told to end, and counts', async () => {
    assert.equal(await create({ 'jwt/login': signedIn, 'token/lookup-self': denied }), 'not known');
    assert.ok(asked.includes('token/revoke-self sign-in'));
    const left = { ...order, revocation: null, makingUntil: Date.now() };
    assert.match((await provider.revoke(left, signal()))?.why ?? '', /ends by itself/);
  });

  /** @proves lease.openbao-token */
  test('a token is not gone because something else refuses it', async () => {
    const signIn = { 'jwt/login': signedIn, 'token/lookup-self': seen, 'token/create': denied };
    assert.equal(await create({ ...signIn, 'token/revoke-self': blocked }), 'not known');
    answers = { 'token/revoke-self': { status: 204 }, 'token/lookup-self': blocked };
    const revocation: Json = { parent: 'sign-in', token: 'of-the-task', leaseId: null };
    const left = { ...order, revocation, makingUntil: Date.now() };
    await assert.rejects(provider.revoke(left, signal()), /did not say whether a token has ended/);
    answers = { 'token/revoke-self': { status: 204 }, 'token/lookup-self': denied };
    assert.equal(await provider.revoke(left, signal()), undefined);
  });
});
