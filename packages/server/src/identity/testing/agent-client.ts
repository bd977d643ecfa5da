import { randomUUID } from 'node:crypto';
import { TASK_DETAILS_TYPE } from '@gatehouse/protocol';
import * as dpop from 'dpop';
import { SignJWT } from 'jose';
import * as oauth from 'oauth4webapi';
import type { EnrolledAgent, House } from './house.ts';

/** Test servers speak plain HTTP on the loopback interface. */
export const insecure = { [oauth.allowInsecureRequests]: true } as const;

export const supportTask = {
  type: TASK_DETAILS_TYPE,
  template: 'support',
  parameters: { customer: 'cus_1' },
  intent: 'answer the ticket',
};

export interface TokenResponse {
  access_token: string;
  token_type: string;
  expires_in: number;
  authorization_details: [{ task: string; template: string; type: string; intent: string; parameters: unknown }];
}

interface AssertionChange {
  claims?: Record<string, unknown>;
  header?: Record<string, unknown>;
  key?: CryptoKey | Uint8Array;
}

interface RequestChange {
  form?: Record<string, string | string[] | undefined>;
  headers?: Record<string, string>;
  path?: string;
  /** Asks this one and not the client's own. */
  replica?: House;
  assertion?: AssertionChange;
  /** Without a DPoP proof. */
  bearer?: boolean;
}

interface Answer {
  status: number;
  body: Record<string, unknown> & Partial<TokenResponse>;
  headers: Headers;
}

/** An agent as a foreign library makes it (oauth4webapi, dpop), with every part of a request open to change. */
export async function createAgentClient(house: House, agent: EnrolledAgent) {
  const issuer = new URL(house.publicUrl);
  const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
  const server = await oauth.processDiscoveryResponse(issuer, found);
  const client: oauth.Client = { client_id: agent.name };
  const authentication = oauth.PrivateKeyJwt(agent.privateKey);
  const proofKeys = await dpop.generateKeyPair('ES256');
  const handle = oauth.DPoP(client, proofKeys);

  const proof = (url: string, options: { method?: string; token?: string; nonce?: string } = {}) =>
    dpop.generateProof(proofKeys, url, options.method ?? 'POST', options.nonce, options.token);

  /** A client assertion with parts changed. */
  const assertion = (change: AssertionChange = {}) => {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: agent.name,
      sub: agent.name,
      aud: house.publicUrl,
      jti: randomUUID(),
      iat: now,
      exp: now + 60,
      ...change.claims,
    };
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', ...change.header })
      .sign(change.key ?? agent.privateKey);
  };

  /** A token request from raw parts; what is undefined is left out. */
  const post = async (change: RequestChange = {}): Promise<Answer> => {
    const url = house.publicUrl + (change.path ?? '/oauth/token');
    const form = new URLSearchParams();
    const parts = {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await assertion(change.assertion),
      authorization_details: JSON.stringify([supportTask]),
      resource: house.resource,
      ...change.form,
    };
    for (const [name, value] of Object.entries(parts))
      for (const each of [value].flat()) if (each !== undefined) form.append(name, each);
    const headers = { ...(change.bearer ? {} : { dpop: await proof(url) }), ...change.headers };
    const at = (change.replica ?? house).address + (change.path ?? '/oauth/token');
    const response = await fetch(at, { method: 'POST', body: form, headers });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) };
  };

  return {
    server,
    client,
    authentication,
    proofKeys,
    proof,
    assertion,
    post,
    /** The whole way by the foreign library, with DPoP. */
    async startTask(details: object = supportTask, resource = house.resource): Promise<TokenResponse> {
      const parameters = { authorization_details: JSON.stringify([details]), resource };
      const attempt = async () => {
        const options = { DPoP: handle, ...insecure };
        const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, options);
        return (await oauth.processClientCredentialsResponse(server, client, response)) as unknown as TokenResponse;
      };
      try {
        return await attempt();
      } catch (error) {
        if (!oauth.isDPoPNonceError(error)) throw error;
        return attempt();
      }
    },
    /** A call by the foreign library. */
    call: (token: string, path = '/mcp', method = 'POST') =>
      oauth.protectedResourceRequest(token, method, new URL(house.publicUrl + path), undefined, undefined, {
        DPoP: handle,
        ...insecure,
      }),
    async introspect(token: string): Promise<Record<string, unknown>> {
      const response = await oauth.introspectionRequest(server, client, authentication, token, insecure);
      return oauth.processIntrospectionResponse(server, client, response);
    },
    async revoke(token: string): Promise<void> {
      await oauth.processRevocationResponse(
        await oauth.revocationRequest(server, client, authentication, token, insecure),
      );
    },
  };
}

export type AgentClient = Awaited<ReturnType<typeof createAgentClient>>;
