import { existsSync } from 'node:fs';
import { type TaskRequest, taskDetailsOf, taskKey } from '@gatehouse/sdk/task-request';
import { type CachedToken, CONFIRM_AFTER_MS, createTokenCache, type TokenCache } from '@gatehouse/sdk/token-cache';
import { readKey } from '../agent-key-file.ts';
import { CliFailure } from '../failure.ts';
import { credentialOf, readTaskOptions, type TaskOptions, type TaskSetup } from '../task-options.ts';
import type { Run } from '../verb.ts';

interface Options extends TaskOptions {
  proofKeyFile?: string;
  proof?: string;
  renew?: boolean;
  offline?: boolean;
  /** `--no-cache`. */
  cache: boolean;
}

interface Printed {
  task: string;
  token: string;
  tokenType: string;
  expiresAt: string | null;
  mcpUrl: string;
  /** Of the request that `--proof` names. */
  dpop?: string;
}

/**
 * A token that the server has just vouched for, to whichever process, is printed without a key, a library or a server; that is why what is
 * needed for more is loaded here and there only. An older one is asked about first: it may be a killed agent's.
 */
export const token: Run<Options> = async ({ options, out }) => {
  const setup = readTaskOptions(options, 'gatehouse token');
  const request = readProofOption(options.proof);
  if (!options.cache && !setup.bearerOnly && !setup.svid && options.proofKeyFile === undefined && !request)
    throw new CliFailure(
      'usage',
      'token.proof-key',
      'Without the cache nothing keeps the key that the token will be bound to: say with --proof-key-file where that is kept, or with --proof for which request the token is.',
    );
  const isPlain = options.cache && options.proofKeyFile === undefined && !setup.svid && !options.renew;
  if (options.offline && (!isPlain || request))
    throw new CliFailure(
      'usage',
      'token.offline',
      '--offline prints what is in the cache, and so goes with no option that needs more: leave --proof, --renew, --no-cache, --proof-key-file and --cert out.',
    );
  const cache = options.cache ? createTokenCache() : undefined;
  const kept = isPlain && cache ? await keptToken(setup, cache) : undefined;
  if (options.offline && !kept)
    throw new CliFailure('noInput', 'token.none-kept', 'No such token is in the cache. Without --offline one is got.');
  const isVouchedFor = kept && (options.offline || Date.now() - kept.checkedAt < CONFIRM_AFTER_MS);
  const printed =
    kept && isVouchedFor && !request
      ? fromCache(kept)
      : await ask(setup, options, cache, request).catch((error: unknown) => {
          throw kept ? withHint(error) : error;
        });
  if (out.json) return out.printJson(printed);
  if (printed.dpop !== undefined) {
    out.print(`Authorization: ${printed.tokenType} ${printed.token}`);
    if (printed.tokenType === 'DPoP') out.print(`DPoP: ${printed.dpop}`);
    return;
  }
  out.print(printed.token);
  const how = setup.svid ? ', over connections with the same certificate' : '';
  out.note(
    `Task ${printed.task}. It is sent as "Authorization: ${printed.tokenType} TOKEN" to ${printed.mcpUrl}${how}.`,
  );
};

async function keptToken(setup: TaskSetup, cache: TokenCache): Promise<CachedToken | undefined> {
  const { url, agent, bearerOnly, task } = setup;
  const details = taskDetailsOf(task);
  const key = taskKey({ url, agent, bearerOnly, proofKey: null, certificate: null, details });
  const kept = await cache.read(key);
  return kept && Date.now() < kept.refreshAt ? kept : undefined;
}

/** Whoever has a token and no server. */
function withHint(error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error && error.code === 'server.unreachable')) return error;
  const hint = 'Whether the token in the cache still counts is not known; --offline prints it all the same.';
  return new CliFailure('unavailable', 'server.unreachable', `${error.message} ${hint}`, { cause: error });
}

const fromCache = ({ task, token: kept, tokenType, expiresAt, mcpUrl }: CachedToken): Printed => ({
  task,
  token: kept,
  tokenType,
  expiresAt: new Date(expiresAt).toISOString(),
  mcpUrl,
});

async function ask(
  setup: TaskSetup,
  { proofKeyFile, renew }: Options,
  cache: TokenCache | undefined,
  request: { method: string; url: string } | undefined,
): Promise<Printed> {
  const { createAgent } = await import('@gatehouse/sdk/agent');
  const { url, ca, agent, bearerOnly } = setup;
  const proofKey = proofKeyFile === undefined ? undefined : await proofKeyOf(proofKeyFile);
  const credential = await credentialOf(setup);
  const client = await createAgent({
    url,
    agent,
    credential,
    bearerOnly,
    ...(ca !== undefined && { ca }),
    ...(proofKey && { proofKey }),
    ...(cache && { cache, confirmAfterMs: CONFIRM_AFTER_MS }),
  });
  const task = await client.startTask(setup.task as TaskRequest);
  const granted = renew ? await task.renew() : await task.current();
  const headers = request && (await task.headersFor(request.url, request.method));
  return {
    task: task.id,
    token: granted.token,
    tokenType: granted.tokenType,
    expiresAt: new Date(granted.expiresAt).toISOString(),
    mcpUrl: task.mcpUrl().href,
    ...(headers && { dpop: headers.dpop ?? '' }),
  };
}

async function proofKeyOf(path: string) {
  if (existsSync(path)) return readKey('the proofs', path);
  const { generateAgentKey } = await import('@gatehouse/sdk/agent-key');
  return generateAgentKey(path);
}

/** `POST https://gatehouse.example/mcp`. */
function readProofOption(given: string | undefined): { method: string; url: string } | undefined {
  if (given === undefined) return undefined;
  const [, method, url = ''] = /^([A-Z]{1,20}) (\S+)$/.exec(given) ?? [];
  if (method && URL.canParse(url)) return { method, url };
  throw new CliFailure(
    'usage',
    'option.invalid',
    `--proof is "METHOD URL", like "POST https://host/mcp", not "${given}".`,
  );
}
