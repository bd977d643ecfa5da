import { existsSync } from 'node:fs';
import { keyFileOf, readKey } from '../agent-key-file.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

interface Options extends ServerOptions {
  keyFile?: string;
}

export const enroll: Run<Options> = async ({ args: [name = ''], options, out }) => {
  const operator = operatorOf(options);
  const path = keyFileOf(name, options.keyFile);
  // Asked first, so that a wrong name leaves no key behind.
  const before = await operator.call('GET /agents/:name', { params: { name } });
  const isNew = !existsSync(path);
  const { generateAgentKey } = await import('@gatehouse/sdk/agent-key');
  const { publicJwk, thumbprint } = isNew ? await generateAgentKey(path) : await readKey(name, path);
  const known = before.manifest.keys.some((key) => 'y' in key && key.x === publicJwk.x && key.y === publicJwk.y);
  const agent = known
    ? before
    : await operator.call('POST /agents/:name/keys', { params: { name }, body: { key: publicJwk } });
  if (out.json)
    return out.printJson({ agent: agent.name, keyFile: path, thumbprint, created: isNew, registered: !known });
  const how = isNew ? 'A new key was made' : 'The key that was there is used';
  out.print(`${how}: ${path}`);
  out.print(
    known
      ? `${agent.name} had it already.`
      : `${agent.name} has it as one of its ${agent.manifest.keys.length} keys (${thumbprint}).`,
  );
  out.note(`Next: gatehouse mcp --agent ${agent.name} --template TEMPLATE, as the command of an MCP client.`);
};
