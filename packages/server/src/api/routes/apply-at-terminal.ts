import type { Manifest, PlanChange, ToolServerManifest } from '@gatehouse/protocol';
import type { ApplyDependencies } from '../../governance/index.ts';
import { canonicalJson, GatehouseError } from '../../platform/index.ts';

/**
 * What an apply from a session of the command line may not change. A shell may be shared with an agent, and an agent that could make
 * an approver, or run a program on the server's host, which can read the operator's token, would find a way to a yes (law 4).
 */
const whoGetsIn: ReadonlySet<string> = new Set(['Person', 'RoleMapping', 'IdentityProvider', 'ControlPolicy']);

type Describe = ApplyDependencies['describe'];

/** For `mayChange` of an apply. */
export function mayChangeAtTerminal(step: {
  change: PlanChange;
  before: Manifest | null;
  after: Manifest | null;
}): void {
  const { kind, name, operation } = step.change;
  if (whoGetsIn.has(kind)) throw refused(`This would ${operation} ${kind} ${name}, which decides who gets in.`);
  if (step.after?.kind === 'ToolServer') {
    const before = step.before?.kind === 'ToolServer' ? step.before : undefined;
    if (runsOtherwise(step.after, before)) throw commandRefused(step.after);
  }
}

/** To ask a server of a manifest what it serves starts its program: only one that runs like this already. */
export function askAtTerminal(registered: (name: string) => ToolServerManifest | undefined, ask: Describe): Describe {
  return async (server) => {
    if (runsOtherwise(server, registered(server.name))) throw commandRefused(server);
    return ask(server);
  };
}

function runsOtherwise(after: ToolServerManifest, before: ToolServerManifest | undefined): boolean {
  if (after.transport.type !== 'stdio') return false;
  const how = (of: ToolServerManifest | undefined) => canonicalJson([of?.transport ?? null, of?.environments ?? null]);
  return how(after) !== how(before);
}

const commandRefused = ({ name }: ToolServerManifest) =>
  refused(`ToolServer ${name} would run a program on the server's host that does not run there like this now.`);

const refused = (why: string) =>
  new GatehouseError(
    'forbidden',
    'session.restricted',
    `${why} A session of the command line may not do that: leave it out, or apply it on the server's host.`,
  );
