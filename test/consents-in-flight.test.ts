import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { answerConsent, authorize } from './support/browser-flow.ts';
import { clientAssertion } from './support/client-assertion.ts';
import { manifests } from './support/fixtures.ts';
import { startPostgres } from './support/postgres.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/** What was consented to and not yet fetched, when the agent is stopped or the person leaves. */
const CALLBACK = 'http://127.0.0.1:9/callback';
const LEAVER = 'dev@example.test';
const device = 'urn:ietf:params:oauth:grant-type:device_code';
const ciba = 'urn:openid:params:grant-type:ciba';
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const postgres = await startPostgres();
after(() => postgres?.close());

type Form = Record<string, string>;
type Answer = { status: number; body: Record<string, string> };

function onDatabase(name: string, skip: string | false, database: () => Promise<string>): void {
  describe(name, { skip }, () => {
    let workspace: Workspace;
    let person: SignedInPerson;
    let agent: Awaited<ReturnType<Workspace['agent']>>;
    before(async () => {
      workspace = await startWorkspace({ database: await database() });
      const app: ManifestInput = {
        kind: 'Client',
        name: 'app',
        displayName: 'App',
        redirectUris: ['http://127.0.0.1/callback'],
      };
      const developer: ManifestInput = {
        kind: 'Person',
        email: LEAVER,
        displayName: 'Developer',
        roles: ['developer'],
      };
      await workspace.apply([...manifests(), app, developer]);
      person = await workspace.person(LEAVER);
      // At once: another key makes it another agent than the one that was consented to.
      agent = await workspace.agent('agent-bearer', { bearerOnly: true });
    });
    after(() => workspace.close());

    const post = async (path: string, form: Form): Promise<Answer> => {
      const response = await fetch(workspace.url + path, { method: 'POST', body: new URLSearchParams(form) });
      return { status: response.status, body: (await response.json()) as Record<string, string> };
    };
    const choose = {
      choose: <T extends { agent: string }>(all: T[]) => all.find(({ agent }) => agent === 'agent-bearer'),
    };

    /** One of each: a code, a refresh token, a device code and an `auth_req_id`, all consented to. */
    async function inFlight(): Promise<(() => Promise<Answer>)[]> {
      const code = await getCode();
      const redeem = ({ code, verifier }: { code: string; verifier: string }) =>
        post('/oauth/token', {
          grant_type: 'authorization_code',
          client_id: 'app',
          code,
          code_verifier: verifier,
          redirect_uri: CALLBACK,
        });
      const { body: first } = await redeem(await getCode());
      assert.ok(first.refresh_token, JSON.stringify(first));
      const begun = (await post('/oauth/device', { client_id: 'app' })).body;
      await answerConsent(`device-${begun.user_code?.replace('-', '')}`, person, workspace.url, choose);
      const proof = async () => ({
        client_id: 'agent-bearer',
        client_assertion_type: assertionType,
        client_assertion: await clientAssertion('agent-bearer', agent.key, workspace.url),
      });
      const asked = await post('/oauth/backchannel', { ...(await proof()), scope: 'openid', login_hint: LEAVER });
      const { items } = await person.api('GET /consents');
      await answerConsent(items[0]?.id ?? '', person, workspace.url, {
        choose: (all) => all.find(({ template }) => template === 'all'),
      });
      return [
        () => redeem(code),
        () =>
          post('/oauth/token', {
            grant_type: 'refresh_token',
            client_id: 'app',
            refresh_token: first.refresh_token ?? '',
          }),
        () => post('/oauth/token', { grant_type: device, client_id: 'app', device_code: begun.device_code ?? '' }),
        async () =>
          post('/oauth/token', {
            grant_type: ciba,
            ...(await proof()),
            auth_req_id: asked.body.auth_req_id ?? '',
          }),
      ];
    }

    async function getCode() {
      const verifier = randomBytes(32).toString('base64url');
      const query = new URLSearchParams({
        response_type: 'code',
        client_id: 'app',
        redirect_uri: CALLBACK,
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
      });
      const back = await authorize(`${workspace.url}/oauth/authorize?${query}`, person, choose);
      return { code: back.searchParams.get('code') ?? '', verifier };
    }

    async function nothingMints(tries: (() => Promise<Answer>)[], error: RegExp) {
      const before = await issued();
      for (const [at, attempt] of tries.entries()) {
        const { status, body } = await attempt();
        assert.ok(status === 400 || status === 401, `${at}: ${status}`);
        assert.match(body.error ?? '', error, `${at}: ${JSON.stringify(body)}`);
        assert.equal(body.access_token, undefined);
      }
      assert.equal(await issued(), before, 'nothing was recorded as issued');
    }
    const issued = async () =>
      (await workspace.operator('GET /records', { query: { operation: 'token.issue', limit: '200' } })).items.length;

    const params = { name: 'agent-bearer' };
    const setState = (state: 'active' | 'suspended') =>
      workspace.operator('POST /agents/:name/state', { params, body: { state, reason: 'test' } });

    test('all of it mints, where nothing was stopped: the tries below can succeed', async () => {
      for (const attempt of await inFlight()) {
        const { status, body } = await attempt();
        assert.equal(status, 200, JSON.stringify(body));
      }
    });

    /** @proves law-6.consents */
    test('none of it mints while the agent is suspended', async () => {
      const tries = await inFlight();
      await setState('suspended');
      await nothingMints(tries, /unauthorized_client|invalid_grant/);
      await setState('active');
    });

    /** @proves law-6.consents */
    test('none of it mints after a kill, also when the agent is active again', async () => {
      const tries = await inFlight();
      await workspace.operator('POST /agents/:name/kill', { params, body: { reason: 'test' } });
      await nothingMints(tries, /unauthorized_client|invalid_grant/);
      await setState('active');
      await nothingMints(tries, /invalid_grant/);
    });

    /** @proves consent.departed */
    test('none of it mints once the person has left', async () => {
      const tries = await inFlight();
      await workspace.operator('POST /people/:email/offboard', { params: { email: LEAVER }, body: {} });
      await nothingMints(tries, /invalid_grant/);
    });

    /** @proves consent.departed */
    test('none of it mints when the person had left in between and is back', async () => {
      const params = { email: LEAVER };
      const reinstate = () => workspace.operator('POST /people/:email/reinstate', { params });
      await reinstate();
      person = await workspace.person(LEAVER);
      const tries = await inFlight();
      await workspace.operator('POST /people/:email/offboard', { params, body: {} });
      await reinstate();
      await nothingMints(tries, /invalid_grant/);
    });
  });
}

onDatabase('on SQLite', false, async () => 'sqlite');
onDatabase('on PostgreSQL', postgres ? false : 'PostgreSQL is missing', async () => {
  if (!postgres) throw new Error('PostgreSQL is missing');
  return (await postgres.createDatabase()).url;
});
