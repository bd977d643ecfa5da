import { existsSync } from 'node:fs';
import { createAgent } from '@gatehouse/sdk/agent';
import { generateAgentKey } from '@gatehouse/sdk/agent-key';
import { readKey } from '../agent-key-file.ts';
import { CliFailure } from '../failure.ts';
import { proofOf, readTaskOptions, type TaskOptions } from '../task-options.ts';
import type { Run } from '../verb.ts';

export const token: Run<TaskOptions & { proofKeyFile?: string }> = async ({ options, out }) => {
  const setup = readTaskOptions(options, 'gatehouse token');
  const { url, agent, svid, bearerOnly, task: request } = setup;
  const { proofKeyFile } = options;
  if (!bearerOnly && !svid && proofKeyFile === undefined)
    throw new CliFailure(
      'usage',
      'token.proof-key',
      'The token will be bound to a key: say with --proof-key-file where that is kept, with --cert to bind it to a certificate instead, or --bearer-only for an agent that is registered so.',
    );
  const proof = await proofOf(setup);
  const proofKey =
    proofKeyFile === undefined
      ? undefined
      : await (existsSync(proofKeyFile) ? readKey('the proofs', proofKeyFile) : generateAgentKey(proofKeyFile));
  const client = await createAgent({ url, agent, ...proof, bearerOnly, ...(proofKey && { proofKey }) });
  const task = await client.startTask(request);
  const granted = await task.token();
  const tokenType = proofKey && !bearerOnly ? 'DPoP' : 'Bearer';
  const mcpUrl = task.mcpUrl().href;
  if (out.json) return out.printJson({ task: task.id, token: granted, tokenType, mcpUrl });
  out.print(granted);
  const how = svid ? ', over connections with the same certificate' : '';
  out.note(`Task ${task.id}. It is sent as "Authorization: ${tokenType} TOKEN" to ${mcpUrl}${how}.`);
};
