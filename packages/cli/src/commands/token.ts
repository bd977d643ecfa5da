import { existsSync } from 'node:fs';
import { createAgent } from '@gatehouse/sdk/agent';
import { generateAgentKey } from '@gatehouse/sdk/agent-key';
import { readKey } from '../agent-key-file.ts';
import { CliFailure } from '../failure.ts';
import { readTaskOptions, type TaskOptions } from '../task-options.ts';
import type { Run } from '../verb.ts';

export const token: Run<TaskOptions & { proofKeyFile?: string }> = async ({ options, out }) => {
  const { url, agent, keyFile, bearerOnly, task: request } = readTaskOptions(options, 'gatehouse token');
  const { proofKeyFile } = options;
  if (!bearerOnly && proofKeyFile === undefined)
    throw new CliFailure(
      'usage',
      'token.proof-key',
      'The token will be bound to a key: say with --proof-key-file where that is kept, or --bearer-only for an agent that is registered so.',
    );
  const key = await readKey(agent, keyFile);
  const proofKey =
    proofKeyFile === undefined
      ? undefined
      : await (existsSync(proofKeyFile) ? readKey('the proofs', proofKeyFile) : generateAgentKey(proofKeyFile));
  const client = await createAgent({ url, agent, key, bearerOnly, ...(proofKey && { proofKey }) });
  const task = await client.startTask(request);
  const granted = await task.token();
  if (out.json)
    return out.printJson({
      task: task.id,
      token: granted,
      tokenType: bearerOnly ? 'Bearer' : 'DPoP',
      mcpUrl: task.mcpUrl().href,
    });
  out.print(granted);
  out.note(
    `Task ${task.id}. It is sent as "Authorization: ${bearerOnly ? 'Bearer' : 'DPoP'} TOKEN" to ${task.mcpUrl().href}.`,
  );
};
