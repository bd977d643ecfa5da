import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { TaskParameters } from '@gatehouse/protocol';
import type { AgentSvid, TaskRequest } from '@gatehouse/sdk/agent';
import type { AgentCredential, OutsideTokenSource } from '@gatehouse/sdk/credentials';
import { keyFileOf, readKey } from './agent-key-file.ts';
import { CliFailure } from './failure.ts';
import { type IdentityKind, identityKinds } from './identity-kinds.ts';
import { type ServerOptions, trustOf, urlOf } from './server-address.ts';

/** As `mcp` and `token` take them; what is not given is looked for in the environment. */
export interface TaskOptions extends ServerOptions {
  agent?: string;
  keyFile?: string;
  template?: string;
  param?: string[];
  intent?: string;
  onBehalfOf?: string;
  requestedBy?: string;
  ticket?: string;
  changeRequest?: string;
  model?: string;
  delegation?: string;
  identity?: string;
  bearerOnly?: boolean;
  cert?: string;
  key?: string;
  cacert?: string;
}

export interface TaskSetup {
  url: string;
  /** File of authorities that the server's certificate is verified with. */
  ca?: string;
  agent: string;
  keyFile: string;
  /** How the agent proves itself: a kind, or `file:PATH`, `env:NAME`. */
  identity: { kind: IdentityKind; of: string };
  /** Files of the agent's X.509-SVID, which is used instead of its key. */
  svid?: AgentSvid;
  bearerOnly: boolean;
  task: TaskRequest;
}

/** Throws CliFailure (`usage`) that names what is missing. `defaultIntent` is used where none is given. */
export function readTaskOptions(options: TaskOptions, defaultIntent: string): TaskSetup {
  const { env } = process;
  const agent = options.agent ?? env.GATEHOUSE_AGENT;
  const template = options.template ?? env.GATEHOUSE_TEMPLATE;
  if (!agent) throw missing('--agent', 'GATEHOUSE_AGENT', '`gatehouse agents` lists them');
  if (!template) throw missing('--template', 'GATEHOUSE_TEMPLATE', 'the agent’s blueprint names those it may use');
  const task: TaskRequest = {
    template,
    parameters: readParameters(options.param ?? [], env.GATEHOUSE_PARAMS),
    intent: options.intent || env.GATEHOUSE_INTENT || defaultIntent,
  };
  const declared = {
    onBehalfOf: options.onBehalfOf ?? env.GATEHOUSE_ON_BEHALF_OF,
    requestedBy: options.requestedBy ?? env.GATEHOUSE_REQUESTED_BY,
    ticket: options.ticket ?? env.GATEHOUSE_TICKET,
    changeRequest: options.changeRequest ?? env.GATEHOUSE_CHANGE_REQUEST,
    delegation: options.delegation ?? env.GATEHOUSE_DELEGATION,
  };
  for (const [name, value] of Object.entries(declared)) if (value) Object.assign(task, { [name]: value });
  const model = options.model ?? env.GATEHOUSE_MODEL;
  if (model) {
    const slash = model.indexOf('/');
    if (slash < 1) throw new CliFailure('usage', 'option.invalid', `--model is PROVIDER/NAME, not "${model}".`);
    task.model = { provider: model.slice(0, slash), name: model.slice(slash + 1) };
  }
  return {
    url: urlOf(options),
    ...trustOf(options),
    agent,
    keyFile: keyFileOf(agent, options.keyFile),
    identity: identityOf(options.identity ?? env.GATEHOUSE_IDENTITY ?? 'key'),
    ...svidOf(options),
    bearerOnly: options.bearerOnly ?? env.GATEHOUSE_BEARER_ONLY === '1',
    task,
  };
}

function svidOf(options: TaskOptions): { svid?: AgentSvid } {
  const { env } = process;
  const cert = options.cert ?? env.GATEHOUSE_CERT;
  const key = options.key ?? env.GATEHOUSE_CERT_KEY;
  if (cert === undefined && key === undefined) return {};
  if (cert === undefined) throw missing('--cert', 'GATEHOUSE_CERT', 'a key is nothing without its certificate');
  if (key === undefined) throw missing('--key', 'GATEHOUSE_CERT_KEY', 'a certificate is nothing without its key');
  for (const file of [cert, key])
    if (!existsSync(file)) throw new CliFailure('noInput', 'svid.missing', `There is no file ${file}.`);
  return { svid: { cert: resolve(cert), key: resolve(key), ...trustOf(options) } };
}

export function identityOf(given: string): TaskSetup['identity'] {
  const [, kind = '', of = ''] = /^([a-z]+)(?::(.+))?$/.exec(given) ?? [];
  const known = identityKinds.find((each) => each === kind);
  const needsMore = known === 'file' || known === 'env';
  if (known && needsMore === (of !== '')) return { kind: known, of };
  throw new CliFailure(
    'usage',
    'option.invalid',
    `--identity is key, keyring, github, gitlab, kubernetes, gcp, azure, file:PATH or env:NAME, not "${given}".`,
  );
}

/** What the agent proves itself with. Throws CliFailure when its key is not there. */
export async function credentialOf({ agent, keyFile, svid, identity }: TaskSetup): Promise<AgentCredential> {
  const sdk = await import('@gatehouse/sdk/credentials');
  if (svid) return sdk.svidCredential(svid);
  if (identity.kind === 'key') return sdk.keyCredential(await readKey(agent, keyFile));
  if (identity.kind === 'keyring') {
    const { readKeyringKey } = await import('./keyring.ts');
    return sdk.keyCredential(await readKeyringKey(agent));
  }
  return sdk.outsideTokenCredential(await outsideTokenOf({ ...identity, kind: identity.kind }));
}

/** Where the tokens of a platform come from. */
export async function outsideTokenOf(identity: {
  kind: Exclude<IdentityKind, 'key' | 'keyring'>;
  of: string;
}): Promise<OutsideTokenSource> {
  const sdk = await import('@gatehouse/sdk/credentials');
  const sources = {
    github: sdk.githubToken,
    gitlab: sdk.gitlabToken,
    kubernetes: sdk.kubernetesToken,
    gcp: sdk.gcpToken,
    azure: sdk.azureToken,
    file: () => sdk.tokenFile(resolve(identity.of)),
    env: () => sdk.tokenVariable(identity.of),
  };
  return sources[identity.kind]();
}

/** `name=value`: whole numbers and true/false are what they look like; quote a text that looks like one: `name="42"`. */
export function readParameters(given: string[], json: string | undefined): TaskParameters {
  const parameters: TaskParameters = {};
  if (json) {
    let value: unknown;
    try {
      value = JSON.parse(json);
    } catch (cause) {
      throw new CliFailure('usage', 'params.json', 'GATEHOUSE_PARAMS is no JSON object.', { cause });
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new CliFailure('usage', 'params.json', 'GATEHOUSE_PARAMS is no JSON object.');
    Object.assign(parameters, value);
  }
  for (const each of given) {
    const equals = each.indexOf('=');
    if (equals < 1) throw new CliFailure('usage', 'option.invalid', `--param is NAME=VALUE, not "${each}".`);
    parameters[each.slice(0, equals)] = readValue(each.slice(equals + 1));
  }
  return parameters;
}

function readValue(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  if (/^(0|-?[1-9]\d*)$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  return /^".*"$/s.test(text) ? text.slice(1, -1) : text;
}

function missing(flag: string, variable: string, hint: string): CliFailure {
  return new CliFailure('usage', 'option.missing', `${flag} (or ${variable}) is missing; ${hint}.`);
}
