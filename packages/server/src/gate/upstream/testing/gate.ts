/**
 * node testing/gate.ts JSON
 *
 * A gate in a process of its own, for tests that need another user or that kill it: starts one server, calls one tool, prints the
 * answer's text, and stays until its standard input closes.
 */
import type { ToolServerManifest } from '@gatehouse/protocol';
import { createLog, type JsonObject, systemClock } from '../../../platform/index.ts';
import type { Isolation } from '../stdio/launch.ts';
import { createUpstreams } from '../upstreams.ts';
import { call, scope, textOf } from './kit.ts';

export interface GateTask {
  dataDir: string;
  isolations: Isolation[];
  server: ToolServerManifest;
  tool: string;
  args: JsonObject;
}

if (import.meta.main) {
  const { dataDir, isolations, server, tool, args } = JSON.parse(process.argv[2] as string) as GateTask;
  const upstreams = createUpstreams({
    dataDir,
    isolations,
    log: createLog('warn'),
    clock: systemClock,
    isProduction: () => isolations[0] === 'namespace',
  });
  const connection = await upstreams.connect(server, scope, { capabilities: {} });
  console.log(textOf(await call(connection, tool, args)));
  for await (const _ of process.stdin);
  await upstreams.close();
}
