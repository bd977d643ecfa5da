import type { Manifest, PlanChange, ShownChange, ToolServerManifest } from '@gatehouse/protocol';
import { type ApplyDependencies, type PolicyChanges, SecondPersonNeeded } from '../../governance/index.ts';
import type { Confirmed } from '../../identity/index.ts';
import { canonicalJson, GatehouseError, isJsonObject } from '../../platform/index.ts';
import type { ApplyOptions, Registry } from '../../registry/index.ts';

type Describe = ApplyDependencies['describe'];
type ChangeStep = Pick<Parameters<NonNullable<ApplyOptions['mayChange']>>[0], 'before' | 'after'>;

/** These decide who gets in and what they may: who would confirm one proves it with a passkey. */
const whoGetsIn: ReadonlySet<string> = new Set(['Person', 'RoleMapping', 'IdentityProvider', 'ControlPolicy']);

export const changesWhoGetsIn = ({ kind }: PlanChange): boolean => whoGetsIn.has(kind);

/** What an apply from a session of the command line would change, as its person is shown it. */
export async function planAtTerminal(
  plan: (how: Pick<ApplyOptions, 'mayChange'>) => Promise<unknown>,
): Promise<ShownChange[]> {
  const changes: ShownChange[] = [];
  await plan({
    mayChange(step) {
      mayProposeAtTerminal(step);
      const { change, after } = step;
      changes.push(change.operation === 'create' ? { ...change, after: withoutValues(after) } : change);
    },
  });
  return changes;
}

/** What is only proposed widens nothing by itself: nothing is to be confirmed then. */
export async function planOfChange(
  { consider }: Pick<PolicyChanges, 'consider'>,
  plan: (how: Pick<ApplyOptions, 'consider'>) => Promise<ShownChange[]>,
): Promise<ShownChange[]> {
  try {
    return await plan({ consider });
  } catch (error) {
    if (error instanceof SecondPersonNeeded) return [];
    throw error;
  }
}

/** For the apply itself: makes what was shown and nothing else, in the transaction that uses the confirmation. */
export function asConfirmed(confirmed: Confirmed | undefined): Pick<ApplyOptions, 'mayChange' | 'first'> {
  const shown = new Set(confirmed?.shown.changes?.map(keyOf));
  return {
    mayChange(step) {
      mayProposeAtTerminal(step);
      if (!shown.has(keyOf(step.change)))
        throw new GatehouseError(
          'conflict',
          'confirmation.changed',
          `The workspace has changed since: this would now ${step.change.operation} ${step.change.kind} ${step.change.name} in another way than was shown. Send the request without the confirmation to ask again.`,
        );
    },
    ...(confirmed && { first: (transaction) => confirmed.use(transaction) }),
  };
}

/** As it is stored, and without what only explains it. */
function keyOf({ operation, kind, name, differences }: PlanChange): string {
  return canonicalJson(JSON.parse(JSON.stringify({ operation, kind, name, differences })));
}

/** What processes get in their environment is where people put keys (law 3). */
function withoutValues(after: Manifest | null): unknown {
  if (after?.kind !== 'ToolServer' || !isJsonObject((after.transport as { env?: unknown }).env)) return after;
  const { env } = after.transport as { env: Record<string, unknown> };
  return {
    ...after,
    transport: { ...after.transport, env: Object.fromEntries(Object.keys(env).map((name) => [name, '[hidden]'])) },
  };
}

/**
 * A program on the server's host can read the operator's token, and what it does stands in files that whoever shares the shell may change
 * after the yes: no plan shows it. So it is not confirmed but refused.
 */
export function mayProposeAtTerminal({ before, after }: ChangeStep): void {
  if (after?.kind !== 'ToolServer') return;
  if (runsOtherwise(after, before?.kind === 'ToolServer' ? before : undefined)) throw commandRefused(after);
}

/** To ask a server of a manifest what it serves starts its program: only one that runs like this already. */
export function askAtTerminal(registry: Pick<Registry, 'snapshot'>, ask: Describe): Describe {
  return async (server) => {
    if (runsOtherwise(server, registry.snapshot().servers.get(server.name)?.manifest)) throw commandRefused(server);
    return ask(server);
  };
}

function runsOtherwise(after: ToolServerManifest, before: ToolServerManifest | undefined): boolean {
  if (after.transport.type !== 'stdio') return false;
  const how = (of: ToolServerManifest | undefined) => canonicalJson([of?.transport ?? null, of?.environments ?? null]);
  return how(after) !== how(before);
}

const commandRefused = ({ name }: ToolServerManifest) =>
  new GatehouseError(
    'forbidden',
    'session.restricted',
    `ToolServer ${name} would run a program on the server's host that does not run there like this now. A session of the command line may not do that: leave it out, or apply it on the server's host.`,
  );
