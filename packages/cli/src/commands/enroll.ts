import { existsSync } from 'node:fs';
import type { AgentKey } from '@gatehouse/sdk/agent-key';
import { keyFileOf, readKey } from '../agent-key-file.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

interface Options extends ServerOptions {
  keyFile?: string;
  keyring?: boolean;
}

/** A key with where it is kept, as a person would say it. */
interface Kept {
  key: AgentKey;
  isNew: boolean;
  keyFile: string | null;
}

export const enroll: Run<Options> = async ({ args: [name = ''], options, out }) => {
  const operator = operatorOf(options);
  // Asked first, so that a wrong name leaves no key behind.
  const before = await operator.call('GET /agents/:name', { params: { name } });
  const { key, isNew, keyFile } = await keyOf(name, options);
  const { publicJwk, thumbprint } = key;
  const known = before.manifest.keys.some((each) => 'y' in each && each.x === publicJwk.x && each.y === publicJwk.y);
  const agent = known
    ? before
    : await operator.call('POST /agents/:name/keys', { params: { name }, body: { key: publicJwk } });
  if (out.json) return out.printJson({ agent: agent.name, keyFile, thumbprint, created: isNew, registered: !known });
  const how = isNew ? 'A new key was made' : 'The key that was there is used';
  out.print(`${how}: ${keyFile ?? 'in the keyring'}`);
  out.print(
    known
      ? `${agent.name} had it already.`
      : `${agent.name} has it as one of its ${agent.manifest.keys.length} keys (${thumbprint}).`,
  );
  const identity = keyFile === null ? ' --identity keyring' : '';
  out.note(
    `Next: gatehouse mcp --agent ${agent.name}${identity} --template TEMPLATE, as the command of an MCP client.`,
  );
};

async function keyOf(name: string, { keyFile: given, keyring }: Options): Promise<Kept> {
  if (keyring) {
    const { keyringKey } = await import('../keyring.ts');
    return { ...(await keyringKey(name)), keyFile: null };
  }
  const keyFile = keyFileOf(name, given);
  if (existsSync(keyFile)) return { key: await readKey(name, keyFile), isNew: false, keyFile };
  const { generateAgentKey } = await import('@gatehouse/sdk/agent-key');
  return { key: await generateAgentKey(keyFile), isNew: true, keyFile };
}
