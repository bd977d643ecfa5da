import { X509Certificate } from 'node:crypto';
import { type AgentKey, agentKeyFromJwk, createAgent, enrolAgent } from '@gatehouse/sdk';
import * as dpop from 'dpop';
import { exportJWK, generateKeyPair } from 'jose';
import { createTlsClient } from '../../packages/server/src/identity/testing/certified-client.ts';
import type { ForeignIssuer } from '../../packages/server/src/identity/testing/foreign-issuer.ts';
import { createCsr } from '../../packages/server/src/identity/testing/svid-client.ts';
import { clientAssertion } from './client-assertion.ts';
import type { Workspace } from './workspace.ts';

export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

const TASK = { type: 'urn:gatehouse:task', template: 'all', intent: 'x', parameters: {} };
const DETAILS = JSON.stringify([TASK]);
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:';
const grant = (name: string) => `urn:ietf:params:oauth:grant-type:${name}`;

/** What an answer has when somebody got something to act with. */
export const minted = ({ status, body }: Answer): boolean =>
  status === 200 &&
  ['access_token', 'certificates', 'token', 'key', 'task', 'device_code', 'auth_req_id'].some((each) => each in body);

export const newKey = async () =>
  agentKeyFromJwk(await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey));

/**
 * Everything that somebody on an agent's machine can hold of it, each a way to get more: `METHOD /path, with what`. The key is enrolled with
 * a join token; X.509-SVIDs are got by a certification request, and outlive the request that made them.
 */
export async function heldCredentials({
  workspace,
  agent,
  issuer,
  helper,
  joinToken,
}: {
  workspace: Workspace;
  agent: string;
  /** A trust rule lets its tokens with the agent's name as `sub` stand for the agent, and those of `starter` for a workload. */
  issuer: ForeignIssuer;
  /** An agent to which this one may hand its tasks on. */
  helper: Awaited<ReturnType<Workspace['agent']>>;
  joinToken: () => Promise<string>;
}): Promise<{ ways: Record<string, () => Promise<Answer>>; key: AgentKey }> {
  const { url, mutualTlsUrl = '' } = workspace;
  const key = await newKey();
  await enrolAgent({ url, agent, key, proof: { joinToken: await joinToken() } });
  const spare = await joinToken();
  const task = await (await createAgent({ url, agent, key })).startTask({ template: 'all', intent: 'own' });
  const token = await task.token();

  async function send(target: string, init: RequestInit, by: typeof fetch = fetch): Promise<Answer> {
    const response = await by(target, { method: 'POST', ...init });
    return { status: response.status, body: (await response.json()) as Answer['body'] };
  }
  const form = (fields: Record<string, string>) => ({
    body: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' } as Record<string, string>,
  });
  const json = (body: object, headers: Record<string, string> = {}) => ({
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
  const assertion = () => clientAssertion(agent, key, url);
  const proven = async (
    client_assertion: Promise<string> | string,
    kind: 'jwt-bearer' | 'jwt-spiffe' = 'jwt-bearer',
  ) => ({
    client_id: agent,
    client_assertion_type: ASSERTION + kind,
    client_assertion: await client_assertion,
  });
  /** At the token endpoint, with a proof by whatever key the holder makes up. */
  async function ask(fields: Record<string, string>): Promise<Answer> {
    const { body, headers } = form(fields);
    const pair = await dpop.generateKeyPair('ES256');
    headers.dpop = await dpop.generateProof(pair, `${url}/oauth/token`, 'POST');
    return send(`${url}/oauth/token`, { body, headers });
  }
  const outside = () => issuer.sign({ sub: agent });
  async function enrol(credential: string, body: object): Promise<Answer> {
    const pair = await dpop.generateKeyPair('ES256');
    const proof = await dpop.generateProof(pair, `${url}/enrol`, 'POST', undefined, credential);
    return send(`${url}/enrol`, json(body, { dpop: proof }));
  }

  const roots = (await (await fetch(`${url}/.well-known/spiffe/bundle`)).json()) as {
    keys: { use: string; x5c?: string[] }[];
  };
  const pem = (der: string) => new X509Certificate(Buffer.from(der, 'base64')).toString();
  const csr = createCsr();
  const svid = await send(`${url}/svid/x509`, json({ csr: csr.pem, clientAssertion: await assertion() }));
  const tls = createTlsClient({
    ca: roots.keys.flatMap(({ use, x5c = [] }) => (use === 'x509-svid' ? x5c.map(pem) : [])).join(''),
    own: {
      cert: (svid.body.certificates as string[]).map(pem).join(''),
      key: csr.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    },
  });
  // A connection of its own each time: one that is open could only be kinder.
  const bySvid = (path: string, init: RequestInit) =>
    send(mutualTlsUrl + path, init, tls.fetch).catch((error: Error) => ({ status: 0, body: { error: error.message } }));
  const jwtSvid = await send(`${url}/svid/jwt`, json({ audience: [url], clientAssertion: await assertion() }));
  const holder = await dpop.generateKeyPair('ES256');
  const bound = await send(`${url}/oauth/token`, {
    ...form({ grant_type: 'client_credentials', authorization_details: DETAILS, ...(await proven(assertion())) }),
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      dpop: await dpop.generateProof(holder, `${url}/oauth/token`, 'POST'),
    },
  });
  const ofTask = String(bound.body.access_token);
  const byToken = async (path: string, body: object) =>
    send(
      url + path,
      json(body, {
        authorization: `DPoP ${ofTask}`,
        dpop: await dpop.generateProof(holder, url + path, 'POST', undefined, ofTask),
      }),
    );

  const own = { grant_type: 'client_credentials', authorization_details: DETAILS };
  const ways = {
    'POST /oauth/token, client_credentials, by key': async () => ask({ ...own, ...(await proven(assertion())) }),
    'POST /oauth/token, client_credentials, by JWT-SVID': async () =>
      ask({ ...own, ...(await proven(String(jwtSvid.body.token), 'jwt-spiffe')) }),
    'POST /oauth/token, client_credentials, by X.509-SVID': () =>
      bySvid('/oauth/token', form({ ...own, client_id: agent })),
    'POST /oauth/token, jwt-bearer, by trust rule': async () =>
      ask({ grant_type: grant('jwt-bearer'), assertion: await outside(), authorization_details: DETAILS }),
    'POST /oauth/token, token-exchange, by access token': () =>
      helper.takeOver(token, { template: 'all', intent: 'y' }).then(
        async (taken) => ({ status: 200, body: { access_token: await taken.token() } }),
        (error: { status?: number; code?: string }) => ({ status: error.status ?? 0, body: { error: error.code } }),
      ),
    'POST /oauth/device, by key': async () => send(`${url}/oauth/device`, form(await proven(assertion()))),
    'POST /oauth/backchannel, by key': async () =>
      send(
        `${url}/oauth/backchannel`,
        form({ ...(await proven(assertion())), scope: 'openid', login_hint: 'owner@example.test' }),
      ),
    'POST /enrol, by join token': () => enrol(spare, { join_token: spare }),
    'POST /enrol, by trust rule': async () => {
      const credential = await outside();
      return enrol(credential, { token: credential });
    },
    'POST /workload/tasks, by workload': async () =>
      send(
        `${url}/workload/tasks`,
        json({ proof: { token: await issuer.sign({ sub: 'starter' }) }, agent, task: TASK }),
      ),
    'POST /svid/x509, by key': async () =>
      send(`${url}/svid/x509`, json({ csr: createCsr().pem, clientAssertion: await assertion() })),
    'POST /svid/x509, by X.509-SVID': () => bySvid('/svid/x509', json({ csr: createCsr().pem })),
    'POST /svid/x509, by access token': () => byToken('/svid/x509', { csr: createCsr().pem }),
    'POST /svid/jwt, by key': async () =>
      send(`${url}/svid/jwt`, json({ audience: ['a'], clientAssertion: await assertion() })),
    'POST /svid/jwt, by X.509-SVID': () => bySvid('/svid/jwt', json({ audience: ['a'] })),
    'POST /svid/jwt, by access token': () => byToken('/svid/jwt', { audience: ['a'] }),
  };
  return { ways, key };
}
