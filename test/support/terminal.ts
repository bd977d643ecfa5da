import type { Api, ConfirmationNeeded, ConfirmationView, ConsentView } from '@gatehouse/protocol';
import { COMMAND_LINE_CLIENT, commandLineAgent } from '@gatehouse/protocol';
import { type AgentKey, type ApiCall, agentKeyFromJwk, createOperator, type Operator } from '@gatehouse/sdk';
import { exportJWK, generateKeyPair } from 'jose';
import { publicKeyOf } from '../../packages/sdk/src/agent-key.ts';
import { createProver } from '../../packages/sdk/src/proofs.ts';
import type { SignedInPerson, Workspace } from './workspace.ts';

export type Route = keyof Api;

/** The command line's side of signing in, step by step, so that a test can do each of them wrong. */
export interface Terminal extends Operator {
  session: string;
  token: string;
  key: AgentKey;
  /** A proof by the session's key. */
  proof(path: string, method: string): Promise<string>;
  /** One request as an attacker would send it; headers in place of the right ones. */
  raw(route: string, headers?: Record<string, string | undefined>, body?: unknown): Promise<Refusal>;
  /** Asks for what has to be confirmed, and gives the id of the confirmation. */
  ask<Name extends Route>(route: Name, call: ApiCall): Promise<string>;
  /** The same, confirmed by this person in their browser and then done. */
  confirmed<Name extends Route>(person: Person, route: Name, call: ApiCall): Promise<Api[Name]>;
}
export interface Refusal {
  status: number;
  title: string;
  detail: string;
}

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

export async function createTerminalKey(): Promise<AgentKey> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return agentKeyFromJwk(await exportJWK(privateKey));
}

export function terminals(url: string, host = 'laptop') {
  const post = async (path: string, form: Record<string, string>, headers: Record<string, string> = {}) => {
    const response = await fetch(url + path, {
      method: 'POST',
      headers: { 'user-agent': commandLineAgent('0.1.0', host), ...headers },
      body: new URLSearchParams(form),
    });
    return { status: response.status, body: (await response.json()) as Record<string, string> };
  };
  const prove = async (key: AgentKey, path: string, method: string, token?: string) => {
    const keys = { privateKey: key.privateKey, publicKey: await publicKeyOf(key) };
    const prover = await createProver(keys, () => Math.floor(Date.now() / 1_000));
    return prover.proof(url + path, method, token);
  };
  return {
    post,
    prove,
    begin: (key: AgentKey, change: Record<string, string> = {}) =>
      post('/oauth/device', { client_id: COMMAND_LINE_CLIENT, dpop_jkt: key.thumbprint, ...change }),
    async redeem(key: AgentKey, deviceCode: string) {
      const dpop = await prove(key, '/oauth/token', 'POST');
      const form = { grant_type: GRANT, client_id: COMMAND_LINE_CLIENT, device_code: deviceCode };
      return post('/oauth/token', form, { dpop });
    },
  };
}

export const requestOf = (userCode: string | undefined) => `device-${(userCode ?? '').replace('-', '')}`;

type Person = Pick<SignedInPerson, 'api' | 'passkey'>;

/** Confirms what the command line asks for, as the page does, and gives what was shown. */
export async function confirm(person: Person, origin: string, id: string): Promise<ConfirmationView> {
  const params = { id };
  const view = await person.api('GET /confirmations/:id', { params });
  const { digest } = view;
  const { options } = await person.api('POST /confirmations/:id/options', { params, body: { digest } });
  const assertion = person.passkey.assert(options as never, origin);
  await person.api('POST /confirmations/:id/confirm', { params, body: { digest, assertion } });
  return view;
}

/** Says yes as the page does, with the passkey where it asks for one. */
export async function letIn(
  person: Pick<SignedInPerson, 'api' | 'passkey'>,
  origin: string,
  id: string,
): Promise<ConsentView> {
  const params = { id };
  const view = await person.api('GET /consents/:id', { params });
  const digest = view.signIn?.digest ?? '';
  const body: Record<string, unknown> = { digest };
  if (view.signIn?.proof.by === 'passkey') {
    const { options } = await person.api('POST /consents/:id/options', { params, body: { digest } });
    body.assertion = person.passkey.assert(options as never, origin);
  }
  await person.api('POST /consents/:id/sign-in', { params, body });
  return view;
}

/** A person signed in at a terminal, as `gatehouse login` leaves it. */
export async function signInAtTerminal(
  workspace: Workspace,
  person: Pick<SignedInPerson, 'api' | 'passkey'>,
  host?: string,
): Promise<Terminal> {
  const { begin, redeem, prove } = terminals(workspace.url, host);
  const key = await createTerminalKey();
  const begun = await begin(key);
  await letIn(person, workspace.url, requestOf(begun.body.user_code));
  const { status, body } = await redeem(key, begun.body.device_code ?? '');
  if (status !== 200) throw new Error(JSON.stringify(body));
  const { access_token: token = '', session = '' } = body;
  const operator = createOperator({ url: workspace.url, session: async () => ({ token, key }) });
  const proof = (path: string, method: string) => prove(key, `/api/v1${path}`, method, token);
  const ask: Terminal['ask'] = async (route, call) => {
    const problem = await operator.call(route, call).then(
      () => undefined,
      (error: { code: string; cause: { confirmation: ConfirmationNeeded } }) => error,
    );
    if (problem?.code !== 'confirmation.needed')
      throw problem ?? new Error(`${route} was done without being confirmed`);
    return problem.cause.confirmation.id;
  };
  return {
    ...operator,
    session,
    token,
    key,
    proof,
    ask,
    async confirmed(who, route, call) {
      const confirmation = await ask(route, call);
      await confirm(who, workspace.url, confirmation);
      return operator.call(route, { ...call, confirmation });
    },
    async raw(route, headers = {}, body = {}) {
      const [method = '', template = ''] = route.split(' ');
      const path = template.replaceAll(/:\w+/g, (name) => (name === ':number' ? '1' : 'x'));
      const own = { authorization: `Session ${token}`, dpop: await proof(path, method), ...headers };
      const response = await fetch(`${workspace.url}/api/v1${path}`, {
        method,
        headers: {
          ...Object.fromEntries(Object.entries(own).filter((each): each is [string, string] => each[1] !== undefined)),
          ...(method !== 'GET' && { 'content-type': 'application/json' }),
        },
        ...(method !== 'GET' && { body: JSON.stringify(body) }),
      });
      const { title = '', detail = '' } = (await response.json()) as Partial<Refusal>;
      return { status: response.status, title, detail };
    },
  };
}
