import { once } from 'node:events';
import { chmodSync, unlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { createAgent } from '@gatehouse/sdk/agent';
import { createSvidSource, type SvidProof, type SvidSource } from '@gatehouse/sdk/svid';
import { keyFileOf, readKey } from '../agent-key-file.ts';
import { CliFailure } from '../failure.ts';
import { clean } from '../output.ts';
import { type ServerOptions, trustOf, urlOf } from '../server-address.ts';
import { identityOf, outsideTokenOf } from '../task-options.ts';
import type { Run } from '../verb.ts';

export interface SvidOfOptions extends ServerOptions {
  agent?: string;
  keyFile?: string;
  identity?: string;
  task?: string;
}

export const spiffeServe: Run<SvidOfOptions & { socket: string }> = async ({ options, out }) => {
  const source = await sourceOf(options);
  const path = resolve(options.socket);
  const [{ credentialsOf, createWorkloadApi, listen }, { prepareSocket }] = await Promise.all([
    import('../spiffe/workload-server.ts'),
    import('../spiffe/socket.ts'),
  ]);
  await prepareSocket(path);
  const api = createWorkloadApi(source);
  await listen(api.server, path, credentialsOf());
  chmodSync(path, 0o600);
  source.follow({
    svid: ({ spiffeId, expiresAt }) => out.note(`${clean(spiffeId)} until ${new Date(expiresAt).toISOString()}`),
    refused: ({ message }) => out.note(`refused: ${clean(message)}`),
    failed: ({ message }) => out.note(`nothing new yet, trying again: ${clean(message)}`),
  });
  const address = `unix://${path}`;
  if (out.json) out.printJson({ socket: path, endpoint: address }, { line: true });
  else out.print(`Serving the SPIFFE Workload API: SPIFFE_ENDPOINT_SOCKET=${address}`);
  // Timers alone keep no process: it lives until it is told to go.
  const keep = setInterval(() => undefined, 60_000);
  await Promise.race((['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => once(process, signal)));
  clearInterval(keep);
  source.close();
  api.close();
  try {
    unlinkSync(path);
  } catch {
    // The listener has removed it already.
  }
};

/** Of an agent, one of its tasks, or a workload, as the options name it. */
export async function sourceOf(options: SvidOfOptions): Promise<SvidSource> {
  const url = urlOf(options);
  const proof =
    options.identity === undefined ? await agentOf(options, url) : await workloadOf(options, options.identity);
  return createSvidSource({ url, ...proof, ...trustOf(options) });
}

async function agentOf(options: SvidOfOptions, url: string): Promise<SvidProof> {
  const agent = options.agent ?? process.env.GATEHOUSE_AGENT;
  if (!agent)
    throw new CliFailure(
      'usage',
      'option.missing',
      '--agent (or GATEHOUSE_AGENT) is missing; `gatehouse agents` lists them. A workload comes with --identity.',
    );
  const key = await readKey(agent, keyFileOf(agent, options.keyFile));
  if (options.task === undefined) return { agent, key };
  return {
    agent,
    key,
    task: await (await createAgent({ url, agent, key, ...trustOf(options) })).resumeTask(options.task),
  };
}

/** The rule that takes the tokens says which workload it is. */
async function workloadOf({ agent, keyFile, task }: SvidOfOptions, given: string): Promise<SvidProof> {
  const { kind, of } = identityOf(given);
  if (kind === 'key' || kind === 'keyring' || agent !== undefined || keyFile !== undefined || task !== undefined)
    throw new CliFailure(
      'usage',
      'option.invalid',
      '--identity is the platform of a workload, which has no key here: leave out --agent, --key-file and --task.',
    );
  return { workload: await outsideTokenOf({ kind, of }) };
}
