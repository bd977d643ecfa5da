import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import * as oauth from 'oauth4webapi';
import { GatehouseRequestError } from '../errors.ts';
import type { AgentCredential } from './credential.ts';

/** Gives a token of an outside issuer for this audience; asked for again for each use. Throws GatehouseRequestError. */
export type OutsideTokenSource = (audience: string) => Promise<string>;

/** A token that a trust rule of the workspace takes for the agent: nothing of the agent's is kept anywhere. */
export function outsideTokenCredential(source: OutsideTokenSource): AgentCredential {
  return { authentication: async () => oauth.None(), assertion: source };
}

/** Platforms' token services answer at once, or are not there. */
const TIMEOUT_MS = 10_000;
const MAX_TOKEN_CHARS = 16_384;

export const KUBERNETES_TOKEN_FILE = '/var/run/secrets/tokens/gatehouse';

type Environment = Record<string, string | undefined>;

/** A file that something else keeps fresh: a projected service account token, an agent of the platform. */
export function tokenFile(path: string): OutsideTokenSource {
  return async () => {
    const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      throw unavailable(`The token file ${path} cannot be read (${cause.code}).`, cause);
    });
    return checked(text, `the file ${path}`);
  };
}

/** A variable that the platform sets (GitLab: `id_tokens`). */
export function tokenVariable(name: string, env: Environment = process.env): OutsideTokenSource {
  return async () => checked(env[name] ?? '', `the variable ${name}`);
}

/** What a program prints; it is run without a shell, and gets the audience as GATEHOUSE_AUDIENCE. */
export function tokenCommand(command: string, args: string[] = []): OutsideTokenSource {
  return (audience) =>
    new Promise((resolve, reject) => {
      const env = { ...process.env, GATEHOUSE_AUDIENCE: audience };
      execFile(command, args, { env, timeout: TIMEOUT_MS, maxBuffer: 64 * 1024 }, (cause, stdout) => {
        if (cause) return reject(unavailable(`The command ${command} gave no token.`, cause));
        try {
          resolve(checked(stdout, `what ${command} printed`));
        } catch (error) {
          reject(error);
        }
      });
    });
}

/** GitHub Actions; the job needs `permissions: id-token: write`. */
export function githubToken(env: Environment = process.env): OutsideTokenSource {
  return async (audience) => {
    const { ACTIONS_ID_TOKEN_REQUEST_URL: address, ACTIONS_ID_TOKEN_REQUEST_TOKEN: key } = env;
    if (!address || !key)
      throw unavailable(
        'GitHub Actions gives this job no identity: add `permissions: id-token: write` to the job, and run this in it.',
      );
    const url = new URL(address);
    url.searchParams.set('audience', audience);
    const answer = await ask(url, { authorization: `Bearer ${key}`, accept: 'application/json' }, 'GitHub Actions');
    return checked(memberOf(answer, 'value'), 'the answer of GitHub Actions');
  };
}

/** GitLab CI: `id_tokens: GATEHOUSE_ID_TOKEN: aud: …` in the job. */
export const gitlabToken = (env?: Environment): OutsideTokenSource => tokenVariable('GATEHOUSE_ID_TOKEN', env);

/** A projected service account token whose audience is the server. */
export const kubernetesToken = (path = KUBERNETES_TOKEN_FILE): OutsideTokenSource => tokenFile(path);

/** The metadata server of Google Cloud (Compute, GKE, Cloud Run). */
export function gcpToken(env: Environment = process.env): OutsideTokenSource {
  return async (audience) => {
    const host = env.GCE_METADATA_HOST ?? 'metadata.google.internal';
    const url = new URL(`http://${host}/computeMetadata/v1/instance/service-accounts/default/identity`);
    url.searchParams.set('audience', audience);
    url.searchParams.set('format', 'full');
    return checked(await ask(url, { 'metadata-flavor': 'Google' }, 'Google’s metadata server'), 'its answer');
  };
}

/** Managed identity of Azure: App Service and Functions by their variables, else the instance metadata service. */
export function azureToken(env: Environment = process.env): OutsideTokenSource {
  return async (audience) => {
    const { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: secret, AZURE_FEDERATED_TOKEN_FILE: file } = env;
    if (file) return tokenFile(file)(audience);
    const url = new URL(endpoint ?? 'http://169.254.169.254/metadata/identity/oauth2/token');
    url.searchParams.set('api-version', endpoint ? '2019-08-01' : '2018-02-01');
    url.searchParams.set('resource', env.GATEHOUSE_AZURE_RESOURCE ?? audience);
    const headers: Record<string, string> = endpoint && secret ? { 'x-identity-header': secret } : { metadata: 'true' };
    return checked(memberOf(await ask(url, headers, 'Azure'), 'access_token'), 'the answer of Azure');
  };
}

async function ask(url: URL, headers: Record<string, string>, who: string): Promise<string> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(url, { headers, signal, redirect: 'error' }).catch((cause: unknown) => {
    throw unavailable(`${who} does not answer here: this machine is none of theirs, or has no identity.`, cause);
  });
  const text = await response.text();
  // What it says may hold what was sent.
  if (!response.ok) throw unavailable(`${who} gives no token here (HTTP ${response.status}).`);
  return text;
}

function memberOf(text: string, name: string): string {
  try {
    const value = (JSON.parse(text) as Record<string, unknown>)[name];
    return typeof value === 'string' ? value : '';
  } catch {
    return '';
  }
}

/** A compact JWT and nothing else; the token itself is never part of a message. */
function checked(text: string, where: string): string {
  const token = text.trim();
  if (token.length <= MAX_TOKEN_CHARS && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return token;
  throw unavailable(`There is no JWT in ${where}.`);
}

const unavailable = (message: string, cause?: unknown) =>
  new GatehouseRequestError(0, 'credential.unavailable', message, { cause });
