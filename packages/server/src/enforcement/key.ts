import { injectedIn, type ServerCredential } from '@gatehouse/protocol';
import type { Held, LeaseRequest, Leases } from '../credentials/index.ts';
import type { Caller } from '../identity/index.ts';
import { GatehouseError, type Json, type Log, Secret } from '../platform/index.ts';
import { credentialOf, destinationOf, givenOf, type Snapshot } from '../registry/index.ts';
import type { Guard } from '../storage/index.ts';
import { isDirect } from './direct.ts';
import type { Action, Injection } from './types.ts';
import type { Reason } from './who.ts';

/** What a call is made with, besides its arguments. */
export interface Key {
  held: Held;
  injection: Injection;
  /** As the dispatch record names it. */
  named: { lease: string; provider: string; state: 'issued' };
  /** For this call alone: ended when it is answered. */
  isForOneCall: boolean;
  /** What must still hold as it is handed out: from then on it is judged again by what hands it out. */
  guards?: readonly Guard[];
}

export type Keying = ReturnType<typeof createKeying>;

/**
 * Step 6: the narrowest credential for this task at this server, made before the dispatch that names it. INVARIANT: a tool server that is
 * declared to need one gets no call without it.
 */
export function createKeying({ leases, log }: { leases: Pick<Leases, 'issue' | 'activate' | 'end'>; log: Log }) {
  /** The call is over, or was not made. */
  function done({ held, isForOneCall }: Pick<Key, 'held' | 'isForOneCall'>): void {
    if (!isForOneCall) return;
    // Where this fails the reconciler finds that the call is over.
    leases
      .end(held.lease.id, 'gatehouse', 'used')
      .catch((error) => log.warn('a credential for one call could not be ended yet', { lease: held.lease.id, error }));
  }

  return {
    /** Before a person is asked: nobody says yes to what could not be done. */
    refusalOf(snapshot: Snapshot, { operation, server, caller: { task, chain } }: Action): Reason | undefined {
      if (isDirect({ operation }) || asksOfClient.has(operation)) return undefined;
      const problem = credentialOf(snapshot, server, [task, ...chain.map((link) => link.task)])?.problem;
      return problem ? { code: 'lease.scope', reason: problem } : undefined;
    },

    /** Undefined: none is needed. `stale`: agent, task or provider have changed since the decision. */
    async issue(
      snapshot: Snapshot,
      action: Action,
      guards: readonly Guard[],
    ): Promise<Key | 'stale' | { refused: Reason } | undefined> {
      const manifest = snapshot.servers.get(action.server)?.manifest;
      const credential = manifest?.transport.credential;
      if (!manifest || !credential || asksOfClient.has(action.operation)) return undefined;
      if (action.gateway)
        return {
          refused: {
            code: 'gateway.cannot-inject',
            reason: `The tool server "${action.server}" is called with a credential that only Gatehouse adds: call it through Gatehouse, and not at the gateway "${action.gateway.name}".`,
          },
        };
      const request = requestOf(snapshot, action.server, action.caller);
      if ('problem' in request) return { refused: { code: 'lease.scope', reason: request.problem } };
      const isForOneCall = request.singleUse === true;
      try {
        const held = await leases.issue(request, guards);
        const named = { lease: held.lease.id, provider: held.lease.provider, state: 'issued' } as const;
        try {
          return { held, injection: injectionOf(credential, held), named, isForOneCall };
        } catch (error) {
          done({ held, isForOneCall });
          throw error;
        }
      } catch (error) {
        if (!(error instanceof GatehouseError)) throw error;
        if (error.code === 'lease.stopped') return 'stale';
        return { refused: { code: error.code, reason: error.message } };
      }
    },

    /** Throws where it was ended, or what it is handed out on has changed, meanwhile. */
    activate: ({ held, guards }: Key, actionId: string) => leases.activate(held, actionId, guards),

    done,
  };
}

/** What calls of this server are made with in this task. */
export function requestOf(
  snapshot: Snapshot,
  server: string,
  { agent, task, chain }: Pick<Caller, 'agent' | 'task' | 'chain'>,
): LeaseRequest | { problem: string } {
  const manifest = snapshot.servers.get(server)?.manifest;
  const credential = manifest?.transport.credential;
  if (!manifest || !credential) return { problem: `The tool server "${server}" is called without a credential.` };
  const given = givenOf(snapshot, credential.provider, [task, ...chain.map((link) => link.task)]);
  if ('problem' in given) return given;
  return {
    provider: credential.provider,
    agent,
    task: task.id,
    user: task.user,
    environment: task.environment,
    purpose: `${OF_SERVER}${server}`,
    destination: destinationOf(manifest),
    singleUse: 'perCall' in credential && credential.perCall === true,
    asked: credential.scope as Json,
    within: given.within as Json[],
    agentSeconds: snapshot.agents.get(agent)?.manifest.credentialSeconds,
    until: [{ at: task.expiresAt, why: 'the task ends' }],
  };
}

/** How the purpose of such a lease begins. */
export const OF_SERVER = 'server:';

/** What goes to the agent's client, and not to the server. */
const asksOfClient: ReadonlySet<string> = new Set([
  'sampling/createMessage',
  'elicitation/create',
  'elicitation/create:url',
  'roots/list',
]);

/** Its parts where the manifest wants them. Throws `lease.part`. */
export function injectionOf(credential: ServerCredential, { lease, credential: parts }: Held): Injection {
  const fill = (template: string) =>
    template.replaceAll(/\{([a-zA-Z]+)\}/g, (_, part: string) => {
      const value = Object.hasOwn(parts, part) ? parts[part] : undefined;
      if (value) return value.reveal();
      throw new GatehouseError(
        'conflict',
        'lease.part',
        `The credentials of ${lease.provider} have no part "${part}". They have: ${Object.keys(parts).join(', ')}. Correct \`credential\` in the manifest.`,
      );
    });
  const values = injectedIn(credential).map(([place, templates]) => [
    place,
    Object.fromEntries(Object.entries(templates).map(([name, template]) => [name, new Secret(fill(template))])),
  ]);
  return {
    lease: lease.id,
    expiresAt: lease.expiresAt,
    values: Object.fromEntries(values),
    // Its name outside is no secret: people see it with the lease.
    secrets: Object.values(parts).filter((part) => part.reveal() !== lease.name),
  };
}
